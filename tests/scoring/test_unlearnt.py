"""Classes that are tested and that no labelled row shows: counted for each kind of label, said once, kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dalib.checks.dense_world import make_scenes
from dalib.core.types import Domain, Task
from dalib.records.record import Record
from dalib.records.spec import DataSpec, RunSpec
from dalib.report.caption import KINDS, _warnings
from dalib.scoring.diagnose import OF_CANDIDATES
from dalib.scoring.unlearnt import UNLEARNT, count_classes, unlearnt_classes


def task_of(labelled: Domain, test: Domain) -> Task:
    return Task("a->b", labelled, test.unlabelled(), labelled, test)


def test_boxes_pixels_and_yes_answers_are_counted_by_class():
    y = np.array([[[2.0, 0, 0, 4, 4], [0, 1, 1, 2, 2]], [[2, 0, 0, 3, 3], [-1, 0, 0, 0, 0]]], np.float32)
    assert count_classes(y, 4, "detection").tolist() == [1, 0, 2, 0]
    masks = np.array([[[0, 1], [255, 1]], [[0, 0], [1, 255]]], np.uint8)
    assert count_classes(masks, 3, "segmentation").tolist() == [3, 3, 0]
    answers = np.array([[1, -1, 0], [1, 1, 0], [0, -1, 0]])
    assert count_classes(answers, 3, "multilabel").tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("detection", "no labelled box of 'blue', of which the target has 4; its coco_ap is a mean"),
        ("segmentation", "no labelled pixel of 'blue', of which the target has"),
    ],
)
def test_a_class_that_only_the_target_has_is_named(kind, said):
    a, b = (make_scenes(name, 4, seed, 1.0, kind) for seed, name in enumerate("ab"))
    assert unlearnt_classes(task_of(a, b)) == []
    y = a.labels.copy()
    if kind == "detection":
        y[:, 1] = [-1, 0, 0, 0, 0]
    else:
        y[y == 2] = 0
    (sentence,) = unlearnt_classes(task_of(replace(a, y=y), b))
    assert sentence.startswith(UNLEARNT) and said in sentence
    assert unlearnt_classes(task_of(b, replace(a, y=y))) == [], "what only the source has is learnt for nothing"
    nothing = b.take(np.arange(0), "none")
    assert unlearnt_classes(task_of(replace(a, y=y), nothing)) == [], "nothing is tested"


def test_an_attribute_that_is_yes_in_the_target_alone_is_named():
    x, names = np.zeros((3, 2), np.float32), ("round", "red")
    a = Domain("a", x, np.array([[1, 0], [0, 0], [1, -1]]), names, "a", objective="multilabel")
    b = replace(a, name="b", y=np.array([[1, 1], [0, 1], [1, 0]]))
    (sentence,) = unlearnt_classes(task_of(a, b))
    assert "no labelled row of 'red', of which the target has 2; its mean_average_precision" in sentence


def test_an_attribute_that_every_labelled_row_has_is_named():
    x, names = np.zeros((3, 2), np.float32), ("round", "red")
    a = Domain("a", x, np.array([[1, 1], [0, 1], [1, -1]]), names, "a", objective="multilabel")
    b = replace(a, name="b", y=np.array([[1, 1], [0, 0], [1, 0]]))
    (sentence,) = unlearnt_classes(task_of(a, b))
    assert sentence.startswith(UNLEARNT) and "no labelled row without 'red', of which the target has 2" in sentence
    assert unlearnt_classes(task_of(a, replace(b, y=np.array([[1, 1], [0, 1], [1, -1]])))) == [], "nobody denies it"


def test_of_classes_the_protocols_know_what_is_missing():
    x = np.zeros((2, 2), np.float32)
    a = Domain("a", x, np.array([0, 0]), ("round", "red"), "a")
    assert unlearnt_classes(task_of(a, replace(a, y=np.array([1, 1])))) == []


def test_captions_count_it_and_rescoring_takes_it_for_no_candidates():
    assert set(KINDS) - set(OF_CANDIDATES) == {UNLEARNT}
    spec = RunSpec(data=DataSpec(dataset="toy"), source="a", target="b", algorithm="dann")
    told = [f"{UNLEARNT}: no labelled box of '{name}'" for name in "ab"]
    records = [Record(key="k", spec=spec, status="ok", warnings=[sentence]) for sentence in told]
    assert _warnings(records, "last") == f"Warnings: {UNLEARNT} in 2 runs (dann 2)."
