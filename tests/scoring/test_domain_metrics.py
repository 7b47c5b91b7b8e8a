"""Every registered metric of a kind of answer, under the record's names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, precision_recall_fscore_support, root_mean_squared_error

from dalib.core.metric import Metric
from dalib.core.registry import METRICS
from dalib.core.types import Outputs
from dalib.scoring.metrics import dense_metrics, domain_metrics

CLOSED = {"accuracy", "predicted_classes", "effective_classes", "macro_precision", "macro_recall", "macro_f1"}
OPEN = {"known_accuracy", "unknown_accuracy", "h_score", "unknown_auroc"}


def outputs(prediction: np.ndarray, y: np.ndarray | None) -> Outputs:
    values = torch.as_tensor(prediction)
    return Outputs(values[:, :0], values, None if y is None else torch.as_tensor(y))


@pytest.mark.parametrize("unknown", [False, True])
def test_classification_has_the_names_and_values_that_records_hold(unknown: bool) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4 + unknown, 80)
    logits = rng.standard_normal((80, 5)).astype(np.float32)
    values = domain_metrics(outputs(logits, y), "target", known=4)
    assert set(values) == {f"target_{name}" for name in CLOSED | (OPEN if unknown else set())}
    reference = precision_recall_fscore_support(
        y, logits.argmax(1), labels=np.unique(y), average="macro", zero_division=0
    )
    names = ("target_macro_precision", "target_macro_recall", "target_macro_f1")
    assert tuple(values[name] for name in names) == reference[:3]


def test_nothing_without_rows_or_labels() -> None:
    assert domain_metrics(outputs(np.zeros((3, 2)), None), "target", 2) == {}
    assert domain_metrics(outputs(np.zeros((0, 2)), np.zeros(0, np.int64)), "target", 2) == {}


def test_numbers_and_several_answers_have_metrics_of_their_own() -> None:
    rng = np.random.default_rng(1)
    y, prediction = rng.standard_normal((30, 2)), rng.standard_normal((30, 2))
    numbers = domain_metrics(outputs(prediction, y), "target", 0, objective="regression")
    assert set(numbers) == {"target_mae", "target_rmse", "target_r2", "target_nmae", "target_nrmse"}
    assert numbers["target_rmse"] == pytest.approx(root_mean_squared_error(y, prediction))
    there, answer = (y > 0).astype(np.int64), (prediction > 0).astype(np.int64)
    several = domain_metrics(outputs(prediction, there), "target", 0, objective="multilabel", answer=answer)
    assert set(several) == {"target_micro_f1", "target_macro_f1", "target_mean_average_precision"}
    assert several["target_micro_f1"] == pytest.approx(f1_score(there, answer, average="micro"))


def test_a_metric_that_joins_is_recorded_and_one_that_does_not_apply_is_left_out(monkeypatch) -> None:
    class Rows(Metric):
        unit = "rows"

        def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
            return float(len(y)) if known == 2 else float("nan")

    monkeypatch.setattr(METRICS, "_extra", {"rows": Rows})
    given = outputs(np.eye(2)[[0, 1, 1]], np.array([0, 1, 1]))
    assert domain_metrics(given, "source", known=2)["source_rows"] == 3
    assert "source_rows" not in domain_metrics(given, "source", known=3)


def test_one_row_of_an_unknown_class_is_enough_for_the_metrics_of_open_sets() -> None:
    rng = np.random.default_rng(1)
    y = np.array([0, 1, 2, 0, 1, 3])
    values = domain_metrics(outputs(rng.standard_normal((6, 4)).astype(np.float32), y), "target", known=3)
    assert {f"target_{name}" for name in OPEN} <= set(values)
    none = domain_metrics(outputs(rng.standard_normal((6, 4)).astype(np.float32), y.clip(max=2)), "target", known=3)
    assert not {f"target_{name}" for name in OPEN} & set(none)


def test_boxes_of_a_class_are_measured_by_themselves_whatever_their_size() -> None:
    """Class b has a box of 20 x 20, which is found, and one of 120 x 120, which is not; a's only one is cut to 0.6."""
    pytest.importorskip("pycocotools", reason="boxes are measured by pycocotools, which is not installed")
    y = np.array([[[1, 0, 0, 20, 20], [1, 100, 0, 220, 120], [0, 30, 0, 80, 50]]], np.float32)
    found = np.array([[[1, 0.9, 0, 0, 20, 20], [0, 0.8, 30, 0, 80, 30]]], np.float32)
    told = dense_metrics(outputs(found, y), ("a", "b", "c"), "detection")
    assert told == {
        "a": {"target_ap": pytest.approx(0.3), "target_ap50": 1.0, "n": 1},
        "b": {"target_ap": round(51 / 101, 6), "target_ap50": round(51 / 101, 6), "n": 2},
    }
