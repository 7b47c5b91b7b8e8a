"""One run after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

J = TypeVar("J")
R = TypeVar("R")


def execute(jobs: Iterable[J], work: Callable[[J], R], workers: int = 1) -> Iterator[tuple[J, R | None]]:
    for job in jobs:
        yield job, work(job)
