import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dalib.bench.progress import LineProgress
from dalib.bench.runner import run_suite
from dalib.core.errors import DalibError
from dalib.core.registry import EXECUTORS
from dalib.records.store import Store
from tests.support.waiting import HANG, wait_until

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[4])
from dalib.bench.runner import run_suite
if __name__ == "__main__":
    try:
        run_suite(sys.argv[1], store=sys.argv[2], jobs=int(sys.argv[3]), run=f"tests.support.fake_runs:{sys.argv[5]}")
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.fixture
def go(suite, tmp_path):
    def run(fake="finish", **options):
        options.setdefault("progress", LineProgress(io.StringIO()))
        return run_suite(suite, store=tmp_path / "store", run=f"tests.support.fake_runs:{fake}", **options)

    return run


@pytest.fixture
def spawn(suite_file, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def start(jobs, fake):
        command = [sys.executable, script, suite_file, tmp_path / "store", jobs, Path(__file__).parents[2], fake]
        return subprocess.Popen(
            [str(c) for c in command],
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell has it ignored
        )

    return start


def is_alive(pid):
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")  # nobody may reap it
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_second_run_has_nothing_to_do(go, starts):
    assert (go().done, go().skipped) == (12, 12)
    assert set(starts().values()) == {1}


def test_a_failed_run_is_a_record_and_the_suite_goes_on(go, tmp_path):
    summary = go("fail_on_seed_1")
    assert (summary.done, summary.failed) == (8, 4)
    assert sum(r.status == "failed" for r in Store(tmp_path / "store").records()) == 4


@pytest.mark.parametrize(("redo", "again"), [("never", 0), ("failed", 4), ("all", 12)])
def test_redo_runs_what_it_says(go, redo, again):
    go("fail_on_seed_1")
    summary = go("finish", redo=redo)
    assert (summary.done, summary.skipped) == (again, 12 - again)


def test_a_dry_run_runs_nothing_and_counts(go, starts, tmp_path, capsys):
    go("fail_on_seed_1", only=["strong"])
    before = starts()
    assert go(dry_run=True, redo="failed").done == 0
    assert starts() == before
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["source_only", "6", "0", "0", "6", "6"] in lines
    assert ["strong", "6", "4", "2", "0", "2"] in lines


def test_only_takes_labels_of_the_suite(go):
    with pytest.raises(DalibError, match="no row named 'stron'; did you mean 'strong'"):
        go(only=["stron"])


def test_a_damaged_record_runs_again(go, tmp_path):
    go()
    path = next((tmp_path / "store").glob("??/*.json"))
    path.write_text(path.read_text()[:50])
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert (go().done, go().done) == (1, 0)


def test_ctrl_c_passes_through_and_leaves_no_lock(go, tmp_path, starts):
    with pytest.raises(KeyboardInterrupt):
        go("interrupt")
    assert not [p for p in (tmp_path / "store" / "locks").iterdir() if p.name != ".guard"]
    assert go().done == 12


def test_a_run_that_kills_its_worker_twice_fails_alone(go, tmp_path, starts):
    summary = go("die_on_seed_1", jobs=2)
    assert (summary.done + summary.skipped, summary.failed) == (10, 2)  # skipped: see the next test
    errors = [r.error.type for r in Store(tmp_path / "store").records() if r.error]
    assert errors == ["WorkerDied", "WorkerDied"]
    failed = [r.key for r in Store(tmp_path / "store").records() if r.error]
    assert {starts()[key] for key in failed} == {2}
    assert sum(starts().values()) - 14 <= 2, "only the other run in flight may start again, once per death"


def test_a_worker_killed_once_costs_nothing(go, tmp_path):
    """The other run in flight may have its record when its worker is ended with the pool, and is then found done."""
    summary = go("die_once", jobs=2)
    assert summary.done + summary.skipped == 12 and summary.skipped <= 1 and summary.failed == 0
    assert [r.status for r in Store(tmp_path / "store").records()] == ["ok"] * 12


def test_workers_have_their_share_of_the_cores(go, tmp_path, monkeypatch):
    for module in ("execution", "executors.processes"):
        monkeypatch.setattr(f"dalib.bench.{module}.count_cores", lambda: 7)
    go("report_threads", jobs=2)
    counts = [r.counts for r in Store(tmp_path / "store").records()]
    assert counts == [{"omp": 3, "context": 3}] * 12


@pytest.mark.parametrize(
    ("jobs", "how"), [(jobs, how) for how in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM) for jobs in (1, 2)]
)
def test_a_stopped_suite_goes_on_and_runs_nothing_twice(go, spawn, starts, tmp_path, jobs, how):
    process = spawn(jobs, "hold_after_three")
    wait_until(lambda: len(list((tmp_path / "store").glob("??/*.json"))) == 3, "three runs had a record")
    wait_until(lambda: sum(starts().values()) == 3 + jobs, "every worker was in a run")
    process.send_signal(how)
    _, said = process.communicate(timeout=HANG)
    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130)
    assert ("the same command runs the" in said) == (how != signal.SIGKILL)
    workers = {int(line.split()[2]) for line in (tmp_path / "log").read_text().splitlines()}
    wait_until(lambda: not any(is_alive(pid) for pid in workers), "the workers were gone")
    recorded = {r.key for r in Store(tmp_path / "store").records()}
    summary = go()
    assert (summary.skipped, summary.done) == (3, 9)
    assert len(starts()) == 12
    assert {starts()[key] for key in recorded} == {1}
    assert sum(starts().values()) == 12 + jobs, "only runs in flight at the kill start again"


def test_two_runners_at_once_share_the_work(spawn, starts, tmp_path):
    both = [spawn(1, "sleep_briefly"), spawn(1, "sleep_briefly")]
    for process in both:
        process.communicate(timeout=HANG)
        assert process.returncode == 0
    assert len(starts()) == 12
    assert set(starts().values()) == {1}
    assert len(list(Store(tmp_path / "store").records())) == 12


def test_lines_tell_count_eta_and_accuracy(go):
    stream = io.StringIO()
    go(progress=LineProgress(stream))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "12 runs, 0 recorded already"
    assert lines[-2].startswith("[12/12] 100%  eta 0:00  strong b->a seed 2: ")
    assert lines[-1].startswith("12 runs done, 0 had a record, 0 failed")


def test_an_executor_is_taken_by_its_name_or_by_the_number_of_jobs(go, monkeypatch):
    taken = []

    def noting(name):
        def execute(jobs, work, workers=1):
            taken.append((name, workers))
            for job in jobs:
                yield job, work(job)

        return execute

    monkeypatch.setattr(EXECUTORS, "_extra", {name: noting(name) for name in ("inline", "processes", "own")})
    assert go().done == 12
    for options in ({"jobs": 2}, {"executor": "own"}, {"executor": "own", "jobs": 3}):
        assert go(redo="all", **options).done == 12
    assert taken == [("inline", 1), ("processes", 2), ("own", 1), ("own", 3)]
    with pytest.raises(DalibError, match="no executor named 'proceses'; did you mean 'processes'"):
        go(executor="proceses")


def test_executors_are_files_of_their_folder():
    assert list(EXECUTORS.files()) == ["dask", "inline", "processes", "ray", "slurm"]
    assert all(callable(EXECUTORS.get(name)) for name in EXECUTORS.files())


def test_a_record_tells_how_many_threads_there_were(suite_file, tmp_path):

    import torch

    run_suite(suite_file, store=tmp_path / "real", only=["source_only"], progress=LineProgress(io.StringIO()))
    assert {r.provenance["threads"] for r in Store(tmp_path / "real").records()} == {torch.get_num_threads()}


@pytest.mark.parametrize(("limit", "cores"), [("", 7), ("4", 4), ("9", 7), ("many", 7)])
def test_cores_are_those_of_this_process_and_no_more_than_threads_are_asked_for(monkeypatch, limit, cores):
    from dalib.bench.cores import count_cores

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(7)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert count_cores() == cores


def test_the_number_of_threads_is_the_same_for_any_number_of_jobs_where_one_is_asked_for(monkeypatch):
    from dalib.bench.cores import count_cores

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert {max(1, count_cores() // jobs) for jobs in (1, 2, 5, 64)} == {1}


def test_a_record_written_between_the_look_and_the_run_is_not_run_again(suite, tmp_path, starts, monkeypatch):
    """Another process ends a run just after this one has looked, before it makes its jobs."""

    from dalib.assemble import RunContext
    from dalib.bench import runner
    from dalib.bench.plan import plan
    from tests.support.fake_runs import finish

    store = Store(tmp_path / "store")
    first = plan(suite).runs[0]

    def sort(runs, jobs):
        store.put(*finish(first.spec, RunContext()))
        return list(runs)

    monkeypatch.setattr(runner, "longest_first", sort)
    done = run_suite(
        suite, store=store.root, run="tests.support.fake_runs:finish", progress=LineProgress(io.StringIO())
    )
    assert set(starts().values()) == {1}
    assert (done.done, done.skipped) == (11, 1)


@pytest.mark.parametrize("kind", ["folder", "unreadable", "not JSON"])
def test_something_else_in_the_place_of_a_record_stops_neither_table_nor_run(suite, tmp_path, kind):

    from dalib.report.table import build_table

    how = {"store": tmp_path / "store", "run": "tests.support.fake_runs:finish"}
    run_suite(suite, **how, progress=LineProgress(io.StringIO()))
    store = Store(tmp_path / "store")
    path = store.path(store.manifest("demo").keys[0])
    path.unlink()
    if kind == "folder":
        (path / "inside").mkdir(parents=True)
    else:
        path.write_bytes(b"[" * 5000)
    if kind == "unreadable":
        path.unlink()
        path.symlink_to(path.name)
    with pytest.warns(RuntimeWarning, match="counts as missing"):
        build_table(store, "demo")
    with pytest.warns(RuntimeWarning, match="counts as missing"):
        done = run_suite(suite, **how, progress=LineProgress(io.StringIO()))
    assert (done.done, done.skipped) == (1, 11)
    assert len(list(store.records())) == 12


def test_a_store_that_is_deleted_meanwhile_is_no_success(suite, tmp_path, monkeypatch):
    import shutil

    from dalib.bench import runner

    count = runner._count

    def delete_once(tally, job, result):
        count(tally, job, result)
        if tally.done == 3:
            shutil.rmtree(tmp_path / "store")

    monkeypatch.setattr(runner, "_count", delete_once)
    with pytest.raises(DalibError, match=r"3 of 12 records are not in .*deleted or moved meanwhile; run again"):
        run_suite(
            suite, store=tmp_path / "store", run="tests.support.fake_runs:finish",
            progress=LineProgress(io.StringIO()),
        )  # fmt: skip


def test_who_is_waited_for_is_said_once(suite, tmp_path, monkeypatch):
    from dalib.bench.plan import plan
    from dalib.records import locks

    class Log(io.StringIO):
        """The lock is given back a few looks after somebody was said to wait for it."""

        def write(self, text):
            if text.startswith("waiting for"):
                looks.append("said")
            return super().write(text)

    def look(path):
        if looks:
            looks.append("look")
        if len(looks) == 5:
            locks.release(lock)
        return locks.is_held(path)

    store, said, looks = Store(tmp_path / "store"), Log(), []
    lock = store.lock(plan(suite).runs[0].key)
    assert locks.acquire(lock)
    monkeypatch.setattr("dalib.bench.runner.is_held", look)
    done = run_suite(suite, store=store.root, run="tests.support.fake_runs:finish", progress=LineProgress(said))
    waiting = [line for line in said.getvalue().splitlines() if line.startswith("waiting for")]
    assert done.done == 12
    assert len(waiting) == 1 and f"process {os.getpid()} on " in waiting[0] and " since " in waiting[0]
