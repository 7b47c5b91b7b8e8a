"""An executor's contract: every job once, with what the work made of it, and an end whenever the caller wants one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from dalib.checks.result import require

Execute = Callable[..., Iterator[tuple[int, int | None]]]
JOBS = (3, 1, 4, 15)


def double(job: int) -> int:
    """The work; of a module, so that other processes can import it."""
    return 2 * job


def check_it_takes_jobs_work_and_workers(execute: Execute) -> None:
    names = list(inspect.signature(execute).parameters)[:3]
    require(names == ["jobs", "work", "workers"], f"takes ({', '.join(names)}); take (jobs, work, workers)")


def check_every_job_is_done_once(execute: Execute) -> None:
    for workers in (1, 2):
        done: list[Any] = list(execute(list(JOBS), double, workers))
        expected = sorted((job, 2 * job) for job in JOBS)
        require(
            sorted(done) == expected, f"with {workers} workers {done} came of {JOBS}; yield (job, work(job)) for each"
        )


def check_nothing_to_do_is_nothing_done(execute: Execute) -> None:
    done = list(execute([], double, 1))
    require(not done, f"yields {done} without a job")


def check_it_can_be_closed_early(execute: Execute) -> None:
    """As Ctrl-C and the runner do."""
    stream = execute(list(JOBS), double, 1)
    require(hasattr(stream, "close"), "returns no generator; yield the results, so that the runner can close it")
    first = next(stream)
    require(first[0] in JOBS, f"yields {first!r} first; yield (job, result)")
    stream.close()  # type: ignore[attr-defined]
    require(not list(stream), "goes on after it was closed")


EXECUTOR_CHECKS = (
    check_it_takes_jobs_work_and_workers,
    check_every_job_is_done_once,
    check_nothing_to_do_is_nothing_done,
    check_it_can_be_closed_early,
)
