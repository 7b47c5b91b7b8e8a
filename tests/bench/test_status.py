"""How far a suite is: from its store, whoever runs it."""

from __future__ import annotations

import errno
import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import pytest

import dalib
from dalib.bench import status
from dalib.bench.plan import plan
from dalib.bench.suite import Suite
from dalib.cli import main
from dalib.core.errors import DalibError
from dalib.records import locks
from dalib.records.locks import Owner, acquire, release
from dalib.records.store import Store


def test_done_failed_running_queued_and_missing_add_up(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(DalibError, match="no suite with runs named 'demo'"):
        status.suite_status("demo", store.root)
    dalib.run_suite(suite, store=store.root, run="tests.support.fake_runs:fail_on_seed_1", only=["strong"])
    todo = [run.key for run in plan(suite).runs if run.key not in store]
    assert len(todo) == 6 and acquire(store.lock(todo[0]))
    monkeypatch.setattr(status, "_queued", lambda root: {*todo[:3], "unknown"})
    found = dalib.suite_status("demo", store.root)
    assert (found.total, found.done, len(found.failed), len(found.running)) == (12, 4, 2, 1)
    assert (found.queued, found.missing) == (2, 3)
    assert found.eta is not None and found.running[0].seconds < 100
    assert main(["status", "demo", "--store", str(store.root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("demo: 4 of 12 runs done, 2 failed, 1 running, 2 queued, 3 not begun; eta 0:0")
    assert lines[1].startswith("running  source_only a->b seed") and "process" in lines[1] and "since" in lines[1]
    assert [line[-18:] for line in lines[2:]] == ["RuntimeError: boom"] * 2
    release(store.lock(todo[0]))
    assert dalib.suite_status("demo", store.root).eta is None


def test_all_done_has_nothing_left(suite: Suite, tmp_path: Path) -> None:
    dalib.run_suite(suite, store=tmp_path, run="tests.support.fake_runs:finish")
    found = dalib.suite_status("demo", tmp_path)
    assert (found.done, found.missing, found.eta) == (12, 0, 0.0)


def test_a_suite_is_named_by_itself_its_file_or_its_name(suite: Suite, tmp_path: Path) -> None:
    file = tmp_path / "made.toml"
    file.write_text('name = "demo"\ndataset = "mini_office"\nalgorithms = ["source_only"]\n', encoding="utf-8")
    with pytest.raises(DalibError, match="no suite with runs named 'demo'"):
        dalib.suite_status(suite, tmp_path / "store")
    dalib.run_suite(suite, store=tmp_path / "store", run="tests.support.fake_runs:finish")
    assert [dalib.suite_status(s, tmp_path / "store").done for s in (suite, file, str(file), "demo")] == [12] * 4


def test_who_may_not_write_into_a_store_is_told_by_his_own_clock(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dalib.run_suite(suite, store=tmp_path, run="tests.support.fake_runs:finish", only=["strong"])
    store, todo = Store(tmp_path), [run.key for run in plan(suite).runs if run.label != "strong"]
    for key, silent in zip(todo, (0, 1e4), strict=False):
        lock = store.lock(key)
        lock.write_text(json.dumps(asdict(Owner("t", "h", "elsewhere", 1, "1", time.time()))))
        os.utime(lock, (time.time() - silent,) * 2)

    def refuse(folder: Path) -> float:
        raise OSError(errno.EROFS, "Read-only file system")

    for module in (status, locks):
        monkeypatch.setattr(module, "folder_time", refuse)
    found = dalib.suite_status("demo", tmp_path)
    assert [(run.cell.key, run.seconds < 300) for run in found.running] == [(todo[0], True)]
