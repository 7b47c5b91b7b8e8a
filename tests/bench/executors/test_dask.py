"""Dask with workers of this machine, one of which dies; `python -m tests.faults.engines` has a cluster of two."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="distributed is not installed: pip install 'dalib-toolkit[dask]'")

from dalib.bench.executors.dask import execute
from dalib.core.errors import DalibError
from dalib.core.processes import is_alive
from tests.support.waiting import wait_until

Job = tuple[str, str, Path]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[3]), *sys.path]))


def do(job: Job) -> str:
    name, how, log = job
    died = log.with_name(f"{name}.died")
    with log.open("a") as file:
        file.write(f"{name}\n")
    if how == "dies" or (how == "dies once" and not died.exists()):
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    log.with_name(f"{name}.pid").write_text(str(os.getpid()))
    if how == "hangs":
        time.sleep(600)
        log.with_name("ended").touch()
    if how == "fails":
        raise ValueError("not a number")
    return name.upper()


def test_a_lost_worker_is_a_retry_and_then_no_result(tmp_path: Path) -> None:
    log = tmp_path / "log"
    hows = {"a": "", "b": "dies once", "c": "dies"}
    jobs = [(name, how, log) for name, how in hows.items()]
    assert {job[0]: result for job, result in execute(jobs, do, 1)} == {"a": "A", "b": "B", "c": None}
    assert sorted(log.read_text().split()) == ["a", "b", "b", "c", "c"]


def test_an_interruption_ends_what_is_running(tmp_path: Path) -> None:
    log = tmp_path / "log"
    stream = execute([("a", "", log), ("b", "hangs", log), ("c", "hangs", log)], do, 1)
    assert next(stream)[1] == "A"

    def interrupt() -> None:
        wait_until(lambda: "b" in log.read_text(), "the second job ran")
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        next(stream)
    worker = int((tmp_path / "b.pid").read_text())
    wait_until(lambda: not is_alive(worker), "its worker had ended")
    assert not (tmp_path / "ended").exists() and "c" not in log.read_text()


def test_an_error_of_the_work_is_raised_and_a_missing_cluster_told(tmp_path: Path) -> None:
    import dask

    with pytest.raises(ValueError, match="not a number"):
        list(execute([("a", "fails", tmp_path / "log")], do, 1))
    told = r"no dask scheduler at tcp://127.0.0.1:1 .*`dask scheduler` begins one"
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}), pytest.raises(DalibError, match=told):
        list(execute([("a", "", tmp_path / "log")], do, 1, address="tcp://127.0.0.1:1"))
