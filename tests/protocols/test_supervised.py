"""A part of the target labelled, tested on the rest."""

from __future__ import annotations

import pytest

from dalib.core.errors import DalibError
from dalib.data.loaded import LoadedData
from dalib.data.tasks import make_task
from dalib.protocols.supervised import Supervised
from tests.support.split_world import per_class, rows


def test_supervised_labels_a_part_of_the_target_and_tests_on_the_rest(data: LoadedData) -> None:
    task = make_task(data, "a", "b", protocol="supervised", fraction=0.5)
    assert per_class(task.test) == [15, 6, 5, 3, 2]
    assert rows(task.labelled) | rows(task.validation) | rows(task.test) == rows(data.domain("b"))
    assert not rows(task.labelled) & rows(task.test) and not rows(task.validation) & rows(task.test)
    assert rows(task.target) == rows(task.labelled) and task.target.y is None


def test_all_labelled_rows_are_target_rows_and_a_fraction_is_what_sweeps_repeat(data: LoadedData) -> None:
    task = make_task(data, "a", "b", protocol="supervised")
    assert task.target_origin == 0 and set(task.labelled.x[:, 1]) == {1.0}
    assert Supervised.sweeps == ("shots", "fraction") and Supervised.labels == "target"


def test_everything_may_be_labelled_only_where_a_part_is_held_out(data: LoadedData) -> None:
    task = make_task(data, "a", "b", protocol="supervised", fraction=1, holdout=0.25, validation=0)
    assert rows(task.labelled) | rows(task.test) == rows(data.domain("b"))
    with pytest.raises(DalibError, match="set holdout to test on"):
        make_task(data, "a", "b", protocol="supervised", fraction=1)
