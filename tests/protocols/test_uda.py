"""Labelled source, unlabelled target."""

from __future__ import annotations

from dalib.data.loaded import LoadedData
from dalib.data.tasks import make_task
from dalib.protocols.uda import UDA
from tests.support.split_world import per_class, rows


def test_uda_labels_the_source_and_tests_on_the_whole_unlabelled_target(data: LoadedData) -> None:
    task = make_task(data, "a", "b", validation=0.1)
    assert task.name == "a->b" and task.protocol == "uda" and task.classes == data.classes
    assert rows(task.labelled) | rows(task.validation) == rows(data.domain("a"))
    assert not rows(task.labelled) & rows(task.validation)
    assert task.target.y is None and rows(task.target) == rows(task.test) == rows(data.domain("b"))
    assert per_class(task.validation) == [4, 2, 1, 0, 0], "a tenth, at least one, none of classes below three rows"
    assert per_class(task.labelled) == [36, 18, 2, 2, 1]


def test_no_validation_is_an_empty_domain_and_the_whole_source(data: LoadedData) -> None:
    task = make_task(data, "a", "b", validation=0)
    assert len(task.validation) == 0 and task.validation.labels.shape == (0,) and task.validation.x.shape == (0, 2)
    assert rows(task.labelled) == rows(data.domain("a"))


def test_a_large_validation_part_leaves_a_training_row_per_class(data: LoadedData) -> None:
    task = make_task(data, "a", "b", validation=0.99)
    assert per_class(task.labelled) == [1, 1, 1, 2, 1]


def test_held_out_rows_are_tested_on_and_not_adapted_to(data: LoadedData) -> None:
    task = make_task(data, "a", "b", holdout=0.25)
    assert len(task.test) == 15 and rows(task.test) | rows(task.target) == rows(data.domain("b"))
    assert not rows(task.test) & rows(task.target) and task.target.y is None


def test_it_labels_no_target_row_and_captions_say_what_is_tested() -> None:
    assert UDA.target_origin(None) == -1 and not UDA.uses_target_labels()  # type: ignore[arg-type]
    assert "transductive" in UDA.describe([]) and "tested on 20% / 25% of the target" in UDA.describe([0.2, 0.25])
