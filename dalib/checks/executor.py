"""What every executor must do: each job once, with its result, whatever the number of workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dalib.checks.result import CheckFailure

JOBS = (-3, 1, -4, 1, -5, 9, -2)


def check_every_job_has_its_result(execute: Callable[..., Any]) -> None:
    """`execute(jobs, work, workers)` gives (job, work(job)) of every job once, in any order."""
    for workers in (1, 2):
        given = list(execute(iter(JOBS), abs, workers))
        if sorted(job for job, _ in given) != sorted(JOBS):
            raise CheckFailure(f"of jobs {JOBS} came back {[job for job, _ in given]}; give each of them once")
        wrong = [(job, result) for job, result in given if result != abs(job)]
        if wrong:
            raise CheckFailure(f"job {wrong[0][0]} came back with {wrong[0][1]}, not {abs(wrong[0][0])}; pair them")


def check_can_be_stopped(execute: Callable[..., Any]) -> None:
    """Closing the iterator after the first result ends it: `execute` is a generator."""
    stream = execute(iter(JOBS), abs, 1)
    if not hasattr(stream, "close"):
        raise CheckFailure(f"it returns a {type(stream).__name__}; make it a generator (yield), which Ctrl-C can close")
    next(stream)
    stream.close()
    if list(stream):
        raise CheckFailure("results come after close(); stop there")


def check_no_jobs_are_no_results(execute: Callable[..., Any]) -> None:
    """Nothing to do ends at once."""
    if given := list(execute(iter(()), abs, 1)):
        raise CheckFailure(f"without jobs it gives {given}; give nothing")


EXECUTOR_CHECKS = (check_every_job_has_its_result, check_can_be_stopped, check_no_jobs_are_no_results)
