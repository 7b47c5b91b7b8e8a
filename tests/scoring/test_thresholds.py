"""The threshold of a yes/no answer: by trying every one, at the places that rows are decided, in files and records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

import dalib
from dalib.core.errors import DalibError
from dalib.core.types import Outputs
from dalib.scoring.thresholds import choose_thresholds
from dalib.train.model_file import load_model

TRAIN = {"steps": 20, "batch_size": 8, "bottleneck": 8, "evaluations": 1}


def outputs(y: np.ndarray, prediction: np.ndarray) -> Outputs:
    return Outputs(torch.zeros(len(y), 1), torch.tensor(prediction), torch.tensor(y))


def test_no_other_threshold_has_a_better_f1() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(-1, 2, (40, 5))
    prediction = rng.standard_normal((40, 5)) + 0.7 * y
    limits = choose_thresholds(outputs(y, prediction))
    for k in range(5):
        said = y[:, k] >= 0
        truth, value = y[said, k], prediction[said, k]
        tried = [f1_score(truth, value > t) for t in np.linspace(-4, 4, 4001)]
        assert f1_score(truth, value > limits[k]) == pytest.approx(max(tried))


def test_a_prediction_at_the_threshold_is_no_as_where_rows_are_decided() -> None:
    """0 would let the only yes, whose prediction is 0, be called no."""
    (limit,) = choose_thresholds(outputs(np.array([[1], [0]]), np.array([[0.0], [-1.0]])))
    assert -1 <= limit < 0


def test_of_equally_good_ones_the_nearest_to_a_half_is_taken_and_nothing_known_changes_nothing() -> None:
    y = np.array([[0, 0, -1], [1, 0, -1], [1, 0, -1]])
    prediction = np.array([[-2.0, 1.0, 5.0], [3.0, 2.0, 5.0], [4.0, 3.0, 5.0]])
    assert choose_thresholds(outputs(y, prediction)).tolist() == [0.0, 0.0, 0.0]
    moved = choose_thresholds(outputs(y, prediction - 10))
    assert moved[0] == pytest.approx(-9.5) and moved[1:].tolist() == [0.0, 0.0]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rare attributes, so that half is seldom the best threshold."""
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {"objective": np.array("multilabel"), "classes": np.array(["one", "two"])}
    for domain in ("a", "b"):
        x = rng.standard_normal((80, 4))
        y = (x[:, :2] + 0.5 * rng.standard_normal((80, 2)) > 1.2).astype(int)
        arrays |= {f"{domain}_x": x.astype(np.float32), f"{domain}_y": y}
    path = tmp_path_factory.mktemp("thresholds") / "rows.npz"
    np.savez(path, **arrays)
    return path


def test_predictions_metrics_and_files_go_by_the_threshold(rows: Path, tmp_path: Path) -> None:
    how = {"train": TRAIN, "device": "cpu", "out": tmp_path / "model"}
    protocol = {"threshold": "held_out", "validation": 0.4}
    run = dalib.fit(f"features:{rows}", "a", "b", "source_only", protocol=protocol, **how)
    limits = np.array(run.fitted.extra["thresholds"])
    told = run.fitted.outputs(run.task.test)
    np.testing.assert_allclose(limits, choose_thresholds(run.fitted.outputs(run.task.validation)))
    answers = [answer.values for answer in dalib.predict(run.path, rows, domain="b", device="cpu").rows]
    np.testing.assert_array_equal(answers, told.prediction.numpy() > limits)
    measured = dalib.evaluate(load_model(run.path, "cpu"), rows, "b")
    y = run.task.test.labels
    expected = f1_score(y, told.prediction.numpy() > limits, average="macro")
    assert measured.metrics["macro_f1"] == pytest.approx(expected, abs=1e-5)
    assert measured.per_output["one"]["micro_f1"] == pytest.approx(f1_score(y[:, 0], answers_of(answers, 0)), abs=1e-5)
    plain = dalib.fit(f"features:{rows}", "a", "b", "source_only", protocol={"validation": 0.4}, **how)
    assert "thresholds" not in plain.fitted.extra and plain.spec.key != run.spec.key


def answers_of(answers: list, k: int) -> list:
    return [values[k] for values in answers]


def test_a_record_and_its_rescoring_agree(rows: Path, tmp_path: Path) -> None:
    from dalib.assemble import RunContext
    from dalib.bench.describe import describe_run
    from dalib.bench.run import run_one
    from dalib.records.store import Store
    from dalib.scoring.rescore import _rescore_one

    spec = describe_run(
        f"features:{rows}", "a", "b", "source_only", train=TRAIN, protocol={"threshold": "held_out", "validation": 0.4}
    )
    record, arrays = run_one(spec, RunContext(device="cpu"))
    assert record.status == "ok" and set(record.per_output) == {"one", "two"}
    store = Store(tmp_path / "store")
    before = dict(record.candidates[-1].metrics)
    record.candidates[-1].metrics = {k: v for k, v in before.items() if not k.endswith("_f1")}
    store.put(record, arrays)
    assert _rescore_one(store, record) == "records"
    for name in ("target_macro_f1", "source_micro_f1"):
        assert record.candidates[-1].metrics[name] == pytest.approx(before[name], abs=1e-5)


@pytest.mark.parametrize(
    ("objective", "protocol", "message"),
    [
        ("multilabel", {"threshold": "held_out", "validation": 0}, r"and protocol\.validation is 0; raise it"),
        ("regression", {"threshold": "held_out"}, "is for several yes/no answers, but the labels are for regression"),
    ],
)
def test_a_threshold_without_meaning_is_refused(objective, protocol, message, tmp_path: Path) -> None:
    arrays = {f"{d}_{k}": np.ones((6, 2)) for d in "ab" for k in "xy"}
    np.savez(tmp_path / "rows.npz", objective=objective, **arrays)
    with pytest.raises(DalibError, match=message):
        dalib.fit(f"features:{tmp_path / 'rows.npz'}", "a", "b", "source_only", protocol=protocol, train=TRAIN)
