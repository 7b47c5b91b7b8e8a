"""Domains and tasks: which labelled rows are the target's."""

from __future__ import annotations

from dalib.checks.world import make_task as plain_task
from dalib.core.types import Task
from tests.support.few_rows import K, few_task, train


def test_labelled_target_rows_are_known_by_their_origin_under_every_protocol() -> None:
    few = few_task(1, sources=3)
    assert few.target_origin == 3 and (few.labelled.origin == 3).sum() == K
    uda = plain_task()
    assert uda.target_origin == -1
    assert Task("t", uda.labelled, uda.target, uda.validation, uda.test, "supervised").target_origin == 0
    assert train("SourceOnly", few, steps=1).algorithm.network.target_origin == 3
