"""Which executor runs a suite and how it is set; nothing of it is in a key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dalib.bench.execution import EVERYWHERE, ExecutorSpec, choose_executor
from dalib.bench.plan import plan
from dalib.bench.suite import Suite, load_suite
from dalib.core.errors import DalibError
from dalib.core.registry import EXECUTORS, load_plugin

OWN = '''
"""A queue that keeps what it is given."""
ELSEWHERE = True
TAKEN = []

def execute(jobs, work, workers, *, pace: float = 1.0, nodes: tuple[str, ...] = ()):
    TAKEN.append((len(jobs), workers, pace, nodes))
    for job in jobs:
        yield job, work(job)

def submit(jobs, work, workers, **options):
    TAKEN.append(("submitted", len(jobs), workers, options))
    return len(jobs)

def show_job(jobs, workers, **options):
    return f"script of {len(jobs)} runs at {options}"
'''


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    (tmp_path / "own_queue.py").write_text(OWN)
    monkeypatch.setattr(EXECUTORS, "_extra", dict(EXECUTORS._extra))
    load_plugin(tmp_path / "own_queue.py")
    found: list[Any] = EXECUTORS.get("own_queue").__globals__["TAKEN"]
    return found


@pytest.fixture
def file(suite_file: Path) -> Callable[[str], Suite]:
    def make(section: str) -> Suite:
        suite_file.write_text(suite_file.read_text() + f"\n[executor]\n{section}\n")
        return load_suite(suite_file)

    return make


def run(suite: Suite, tmp_path: Path, **options: Any) -> Any:
    from dalib.bench.runner import run_suite

    return run_suite(suite, store=tmp_path / "store", run="tests.support.fake_runs:finish", **options)


def test_a_suite_says_where_it_runs_and_its_keys_do_not(
    suite: Suite, file: Callable[[str], Suite], taken: list[Any], tmp_path: Path
) -> None:
    before = [r.key for r in plan(suite).runs]
    there = file('name = "own_queue"\npace = 2\njobs = 3\nnodes = ["a", "b"]')
    assert [r.key for r in plan(there).runs] == before
    assert run(there, tmp_path).done == 12
    assert taken == [(12, 3, 2.0, ("a", "b"))]


def test_whoever_asks_for_another_executor_leaves_the_settings_of_the_suites(taken: list[Any]) -> None:
    spec = ExecutorSpec(name="own_queue", jobs=3, pace=2)  # type: ignore[call-arg]
    assert choose_executor(spec).options == {"pace": 2.0}
    assert (choose_executor(spec, "inline").options, choose_executor(spec, "inline").jobs) == ({}, 1)
    assert choose_executor(spec, {"pace": 5}).options == {"pace": 5.0}
    assert choose_executor(spec, {"name": "own_queue", "nodes": ["x"]}).options == {"pace": 2.0, "nodes": ("x",)}
    assert choose_executor(spec, jobs=7).jobs == 7
    assert choose_executor(ExecutorSpec(name="own_queue")).jobs == EVERYWHERE
    assert choose_executor(ExecutorSpec(jobs=2)).name == "processes"
    assert choose_executor(ExecutorSpec()).name == "inline"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"name": "own_queu"}, "no executor named 'own_queu'; did you mean 'own_queue'"),
        ({"name": "own_queue", "pac": 1}, "no setting of executor own_queue named 'pac'; did you mean 'pace'"),
        ({"name": "own_queue", "pace": "quick"}, "executor own_queue: pace = 'quick' should be a valid number"),
        ({"name": "inline", "pace": 1}, "no setting of executor inline named 'pace'"),
        ({"name": "slurm", "time": "1h"}, "executor slurm: time = '1h' should be a valid integer"),
    ],
)
def test_mistakes_are_named(asked: dict[str, Any], told: str, taken: list[Any]) -> None:
    with pytest.raises(DalibError, match=told):
        choose_executor(ExecutorSpec(), asked)


def test_jobs_of_a_suite_are_a_number_of_at_least_one(file: Callable[[str], Suite]) -> None:
    with pytest.raises(DalibError, match=r"executor.jobs = 0"):
        file("jobs = 0")


def test_a_dry_run_shows_what_the_engine_would_get(
    suite: Suite, taken: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(suite, tmp_path, executor={"name": "own_queue", "pace": 3}, dry_run=True)
    assert "script of 12 runs at {'pace': 3.0}" in capsys.readouterr().out
    assert taken == []


def test_a_detached_suite_is_handed_over_and_collected_by_the_same_call(
    suite: Suite, taken: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = run(suite, tmp_path, executor="own_queue", detach=True, jobs=4)
    assert (summary.done, summary.skipped) == (0, 0)
    assert "12 of 12 runs are with own_queue" in capsys.readouterr().out
    assert run(suite, tmp_path, executor="own_queue").done == 12
    assert taken == [("submitted", 12, 4, {}), (12, 12, 1.0, ())]
    capsys.readouterr()
    assert run(suite, tmp_path, executor="own_queue", detach=True).skipped == 12
    assert "runs are with" not in capsys.readouterr().out and len(taken) == 2, "nothing is left to hand over"
    for name in ("inline", "processes", "ray", "dask"):
        with pytest.raises(DalibError, match=f"runs of {name} end with the process that started them"):
            run(suite, tmp_path, executor=name, detach=True, redo="all")


def test_runs_elsewhere_need_a_store_that_hosts_can_share(
    suite: Suite, taken: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dalib.records.shared.find_lacks", lambda folder: ("hard links",))
    with pytest.raises(DalibError, match="on a file system without hard links, so several machines cannot share it"):
        run(suite, tmp_path, executor="own_queue")
    assert run(suite, tmp_path).done == 12


def test_a_job_whose_worker_was_lost_is_a_failed_record(suite: Suite, tmp_path: Path, monkeypatch: Any) -> None:
    def loses_one(jobs: Iterable[Any], work: Callable[[Any], Any], workers: int) -> Iterator[tuple[Any, Any]]:
        for number, job in enumerate(jobs):
            yield job, work(job) if number else None

    monkeypatch.setattr(EXECUTORS, "_extra", {"loses": loses_one})
    summary = run(suite, tmp_path, executor="loses")
    assert (summary.done, summary.failed) == (11, 1)
