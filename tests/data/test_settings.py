"""Several sources, partial and open-set targets: which rows a task is made of and how they are counted."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from dalib.core.errors import DalibError
from dalib.core.types import Domain, Outputs
from dalib.data.loaded import LoadedData
from dalib.data.settings import keep_classes, pick_classes, split_task
from dalib.data.tasks import make_task
from dalib.records.spec import DataSpec, ProtocolSpec, RunSpec
from dalib.scoring.metrics import class_metrics, decide, domain_metrics

CLASSES = ("back_pack", "bike", "bottle", "calculator")
DOMAINS = ("amazon", "dslr", "webcam")


class Data:
    """Three domains of 24, 12 and 18 rows; every row's first number is its position, the second its domain."""

    name, domains, classes, objective = "toy", DOMAINS, CLASSES, "classification"
    unlabelled: ClassVar[dict[str, int]] = {}
    absent: ClassVar[dict[str, str]] = {}
    split = LoadedData.split

    def domain(self, name: str, resize: int | None = None) -> Domain:
        n = {"amazon": 24, "dslr": 12, "webcam": 18}[name]
        x = np.stack([np.arange(n), np.full(n, DOMAINS.index(name))], 1).astype(np.float32)
        return Domain(name, x, np.arange(n) % 4, CLASSES, name, tuple(f"{name}/{i}" for i in range(n)))


def test_sources_are_told_apart_and_stand_in_the_data_sets_order() -> None:
    task = make_task(Data(), "webcam+dslr", "amazon", validation=0.25)
    assert task.name == "dslr+webcam->amazon"
    assert len(task.labelled) + len(task.validation) == 12 + 18
    for part in (task.labelled, task.validation):
        assert np.array_equal(part.origin + 1, part.x[:, 1].astype(int))
    assert set(task.labelled.origin) == {0, 1}
    same = make_task(Data(), "dslr+webcam", "amazon", validation=0.25)
    assert np.array_equal(same.labelled.x, task.labelled.x)
    assert same.labelled.fingerprint == task.labelled.fingerprint


def test_semi_supervised_target_rows_are_one_more_origin() -> None:
    task = make_task(Data(), "dslr+webcam", "amazon", protocol="semi_supervised", shots=2, validation=0)
    assert set(task.labelled.origin) == {0, 1, 2}
    assert (task.labelled.origin == 2).sum() == 8
    assert set(task.labelled.x[task.labelled.origin == 2, 1]) == {0.0}


def test_a_partial_target_has_fewer_classes_and_the_sources_labels() -> None:
    task = make_task(Data(), "webcam", "amazon", target_classes=("bike", "calculator"))
    assert task.classes == CLASSES and not task.is_open
    assert set(task.test.y) == {1, 3} and len(task.target) == 12


def test_an_open_target_counts_foreign_classes_as_unknown() -> None:
    task = make_task(Data(), "webcam", "amazon", source_classes=("1:3",), target_classes=("0:3",))
    assert task.classes == ("bike", "bottle") and task.is_open
    assert task.test.classes == ("bike", "bottle", "unknown")
    original = task.test.x[:, 0].astype(int) % 4
    assert np.array_equal(task.test.y, np.array([2, 0, 1])[original])
    assert set(task.labelled.y) == {0, 1}
    assert task.target.y is None


def test_a_holdout_is_tested_on_and_not_adapted_to() -> None:
    task = make_task(Data(), "webcam", "amazon", holdout=0.25)
    assert (len(task.test), len(task.target)) == (6, 18)
    assert not set(task.test.files) & set(task.target.files)
    assert task.target.y is None and task.test.y is not None


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: split_task("amazon", DOMAINS), "has no '->'"),
        (lambda: split_task("webcm->amazon", DOMAINS), "did you mean 'webcam'"),
        (lambda: split_task("amazon+dslr->amazon", DOMAINS), "twice"),
        (lambda: split_task("amazon->amazon", DOMAINS), "source and target are both 'amazon'"),
        (lambda: pick_classes(CLASSES, ["bikes"]), "did you mean 'bike'"),
        (lambda: pick_classes(CLASSES, ["2:9"]), "no range within 0:4"),
        (lambda: pick_classes(CLASSES, ["3:1"]), "no range within 0:4"),
        (
            lambda: make_task(Data(), "webcam", "amazon", protocol="supervised", source_classes=("0:2",)),
            "needs labels of target classes that the source lacks",
        ),
    ],
)
def test_mistakes_are_one_clear_line(call, text) -> None:
    with pytest.raises(DalibError, match=text) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_picking_classes() -> None:
    assert pick_classes(CLASSES, []) == [0, 1, 2, 3]
    assert pick_classes(CLASSES, ["2:4", "back_pack"]) == [0, 2, 3]
    part = keep_classes(Data().domain("dslr"), [2, 3], [2, 3])
    assert part.classes == CLASSES[2:] and set(part.y) == {0, 1} and len(part.files) == 6


def test_open_metrics_by_hand() -> None:
    y = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2, 2])
    guess = torch.tensor([0, 0, 0, 2, 1, 0, 2, 2, 1])
    logits = torch.nn.functional.one_hot(guess, 3) * 4.0 + torch.rand(9, 3, generator=torch.Generator().manual_seed(0))
    found = domain_metrics(Outputs(torch.zeros(9, 1), logits, y), "target", known=2)
    inside, outside = (3 / 4 + 1 / 2) / 2, 2 / 3
    assert found["target_known_accuracy"] == pytest.approx(inside)
    assert found["target_unknown_accuracy"] == pytest.approx(outside)
    assert found["target_h_score"] == pytest.approx(2 * inside * outside / (inside + outside))
    assert found["target_unknown_auroc"] == pytest.approx(roc_auc_score(y == 2, logits.softmax(1)[:, 2]))
    assert found["target_accuracy"] == pytest.approx(6 / 9)
    per_class = class_metrics(Outputs(torch.zeros(9, 1), logits, y), ("a", "b", "unknown"), known=2)
    assert per_class["unknown"]["target_recall"] == pytest.approx(2 / 3, abs=1e-6)


def test_without_an_output_for_unknown_doubtful_rows_are_rejected() -> None:
    logits = np.array([[4.0, 0.0], [0.1, 0.0], [0.0, 3.0]])
    assert decide(logits, 2).tolist() == [0, 0, 1]
    assert decide(logits, 2, reject=0.9).tolist() == [0, 2, 1]
    assert decide(np.array([[0.1, 0.0, 0.05]]), 2, reject=0.1).tolist() == [0]
    closed = domain_metrics(Outputs(torch.zeros(3, 1), torch.tensor(logits), torch.tensor([0, 1, 1])), "target", 2)
    assert "target_h_score" not in closed


def test_new_settings_leave_old_keys_alone_and_make_new_ones() -> None:
    def key(**protocol) -> str:
        return RunSpec(
            data=DataSpec(dataset="d", fingerprint="f"), source="a", target="b", algorithm="dann",
            protocol=ProtocolSpec(**protocol),
        ).key  # fmt: skip

    assert key() == key(source_classes=(), reject=1.0, holdout=0.0)
    assert (
        len({key(), key(source_classes=("0:10",)), key(target_classes=("0:10",)), key(reject=0.5), key(holdout=0.2)})
        == 5
    )
