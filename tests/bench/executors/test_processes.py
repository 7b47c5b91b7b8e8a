"""Workers that die: which jobs are tried again, and which are blamed."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import cast

import pytest

from dalib.bench.executors.processes import _submit, execute


class Job:
    """Notes its start in `log`; `dies` kills its worker; unpickling in the worker takes `seconds`."""

    def __init__(self, name: str, log: Path, dies: bool, seconds: float = 0.0) -> None:
        self.name, self.log, self.dies, self.seconds = name, log, dies, seconds

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__ |= state
        time.sleep(self.seconds)


def do(job: Job) -> str:
    with job.log.open("a") as log:
        log.write(f"{job.name}\n")
    if job.dies:
        os.kill(os.getpid(), signal.SIGKILL)
    return job.name


def test_a_job_is_not_blamed_for_a_death_before_it_began(tmp_path: Path) -> None:
    log = tmp_path / "log"
    jobs = [Job("quick", log, dies=True), Job("slow", log, dies=True, seconds=1.0), Job("fine", log, dies=False)]
    results = {job.name: result for job, result in execute(jobs, do, 2)}
    assert results == {"quick": None, "slow": None, "fine": "fine"}
    starts = Counter(log.read_text().split())
    assert (starts["quick"], starts["slow"]) == (2, 2) and 1 <= starts["fine"] <= 2


class Breaking:
    """A pool that stumbles over `error` and is then found to be broken, or in order."""

    def __init__(self, error: Exception, broken: bool) -> None:
        self.errors = [error, *([BrokenProcessPool("gone")] if broken else [])]

    def submit(self, *_: object) -> None:
        if self.errors:
            raise self.errors.pop(0)


@pytest.mark.parametrize("error", [OSError("handle is closed"), RuntimeError("after shutdown"), ValueError("closed")])
def test_whatever_a_breaking_pool_stumbles_over_says_that_it_is_broken(error: Exception) -> None:
    with pytest.raises(BrokenProcessPool):
        _submit(cast(ProcessPoolExecutor, Breaking(error, broken=True)), str, 0, "job")
    with pytest.raises(type(error), match=str(error)):
        _submit(cast(ProcessPoolExecutor, Breaking(error, broken=False)), str, 0, "job")


def test_workers_that_die_before_anything_begins_do_not_go_on_for_ever() -> None:
    assert [result for _, result in execute([Fatal()], str, 1)] == [None]


class Fatal:
    """Kills the worker that unpickles it."""

    def __reduce__(self) -> tuple[object, ...]:
        return die_in_worker, (os.getpid(),)


def die_in_worker(parent: int) -> None:
    if os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
