"""A few labelled target rows beside a labelled source."""

from __future__ import annotations

from dalib.data.loaded import LoadedData
from dalib.data.tasks import make_task
from tests.support.split_world import per_class, rows


def test_semi_supervised_moves_shots_of_the_target_to_the_labelled_rows(data: LoadedData) -> None:
    task = make_task(data, "a", "b", protocol="semi_supervised", shots=3)
    shots = {r for r in rows(task.labelled) if r[1] == 1}
    assert len(shots) == 15 and per_class(task.labelled) == [39, 21, 5, 5, 4]
    assert task.labelled.classes == data.classes and task.labelled.name == "a+b"
    assert rows(task.test) == rows(data.domain("b")) - shots == rows(task.target) and task.target.y is None
    assert per_class(task.test) == [27, 9, 6, 2, 1]
    assert all(r[1] == 0 for r in rows(task.validation))


def test_the_labelled_target_rows_are_the_last_origin(data: LoadedData) -> None:
    task = make_task(data, "a", "b", protocol="semi_supervised", shots=3)
    assert task.target_origin == 1
    assert set(task.labelled.x[task.labelled.origin == 1, 1]) == {1.0}
