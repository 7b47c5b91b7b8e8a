import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from dalib.assemble import RunContext
from dalib.bench.plan import plan
from dalib.core.errors import DalibError
from dalib.records.archive import Archive, export
from dalib.records.locks import acquire, is_held, release
from dalib.records.store import Store
from tests.support.fake_runs import fail_on_seed_1
from tests.support.waiting import wait_until

PUT_FOREVER = """
import sys
import numpy as np
from dalib.records.record import Record
from dalib.records.spec import DataSpec, RunSpec
from dalib.records.store import Store
store, seed = Store(sys.argv[1]), 0
while True:
    spec = RunSpec(data=DataSpec(dataset="x"), source="a", target="b", algorithm="dann", seed=seed % 50)
    store.put(Record(key=spec.key, spec=spec, status="ok"), {"z": np.zeros((50, 50))})
    seed += 1
"""


@pytest.fixture
def filled(tmp_path, suite):
    store, planned = Store(tmp_path / "store"), plan(suite)
    for run in planned.runs[:-1]:
        store.put(*fail_on_seed_1(run.spec, RunContext()))
    store.write_manifest(planned.manifest())
    return store, planned


def test_records_and_predictions_come_back(filled):
    store, planned = filled
    key = planned.runs[0].key
    assert store.get(key).spec == planned.runs[0].spec
    kept = store.predictions(key)
    assert kept["step_10_target"].dtype == np.float16
    assert kept["target_y"].tolist() == [0, 1, 2, 3]
    assert planned.runs[-1].key not in store
    with pytest.raises(KeyError):
        store.get(planned.runs[-1].key)


def test_the_frame_has_a_row_per_candidate_and_one_per_failure(filled):
    store, _ = filled
    frame = store.frame()
    ok, failed = frame[frame.status == "ok"], frame[frame.status == "failed"]
    assert (len(ok), len(failed)) == (7 * 2, 4)
    assert ok.groupby("key").is_last.sum().eq(1).all()
    assert failed.step.isna().all()
    assert {"target_accuracy", "score_oracle", "task", "source", "target"} <= set(frame.columns)


@pytest.mark.parametrize("damage", ["", '{"key": "ab', "{}", "\x00\x01"])
def test_a_damaged_record_counts_as_missing_with_a_warning(filled, damage):
    store, planned = filled
    key = planned.runs[0].key
    store.path(key).write_text(damage)
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert key not in store
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert len(list(store.records())) == 10


def test_an_archive_tells_the_same_and_nothing_of_the_host(filled, tmp_path):
    store, planned = filled
    manifest = store.manifest("demo")
    path = tmp_path / "out" / "demo.jsonl"
    assert export(store, manifest, path) == 11
    archive = Archive(path)
    pd.testing.assert_frame_equal(archive.frame(), store.frame())
    assert archive.manifest("demo") == manifest
    assert planned.runs[0].key in archive
    text = path.read_text()
    assert "secret-host" not in text
    assert "/home/someone" not in text
    assert str(tmp_path) not in text
    assert "RuntimeError: boom" in text


def test_the_warning_about_a_damaged_record_says_what_is_wrong_with_it(filled):
    store, planned = filled
    one, other = (run.key for run in planned.runs[:2])
    store.path(one).write_text("{}")
    with pytest.warns(RuntimeWarning, match=r"counts as missing: .*Field required"):
        assert one not in store
    store.path(one).write_bytes(store.path(other).read_bytes())
    with pytest.warns(RuntimeWarning, match=f"counts as missing: it holds the record of {other[:12]}…"):
        assert one not in store


@pytest.mark.parametrize("write", [Store.put, Store.update])
def test_a_record_that_cannot_be_written_whole_leaves_the_old_one(filled, write, monkeypatch):
    store, planned = filled
    old = store.get(planned.runs[0].key)

    def refuse(handle):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="no space"):
        write(store, old.model_copy(update={"seconds": {"fit": 12345.0}}))
    assert store.get(old.key) == old
    assert not list(store.root.rglob("*.part"))


def test_a_reader_of_a_record_is_not_disturbed_by_its_successor(filled):
    store, planned = filled
    old = store.get(planned.runs[0].key)
    before = store.path(old.key).read_bytes()
    with store.path(old.key).open("rb") as reader:
        store.update(old.model_copy(update={"seconds": {"fit": 12345.0}, "warnings": ["a longer record"] * 50}))
        assert reader.read() == before
    assert store.get(old.key).seconds == {"fit": 12345.0}


def test_an_unknown_suite_is_named(filled):
    with pytest.raises(DalibError, match="no suite with runs named 'dem'; did you mean 'demo'"):
        filled[0].manifest("dem")


def test_outputs_that_are_no_logits_of_classes_keep_their_precision(filled):
    store, planned = filled
    record = store.get(planned.runs[0].key)
    arrays = {"z": np.array([1 / 3, 1e3], np.float32), "y": np.array([1, 2])}
    for objective, kind in (("classification", np.float16), ("regression", np.float32)):
        store.put(record.model_copy(update={"objective": objective}), arrays)
        kept = store.predictions(record.key)
        assert (kept["z"].dtype, kept["y"].dtype) == (kind, np.int64)


def test_damaged_arrays_count_as_missing_with_a_warning(filled):
    store, planned = filled
    key = planned.runs[0].key
    store.path(key).with_suffix(".npz").write_bytes(b"PK no archive")
    with pytest.warns(RuntimeWarning, match="are damaged and count as missing"), pytest.raises(KeyError):
        store.predictions(key)


def test_a_killed_writer_leaves_only_whole_records(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", PUT_FOREVER, str(tmp_path)])
    wait_until(lambda: len(list(tmp_path.glob("??/*.json"))) >= 20, "twenty records were written")
    writer.kill()
    writer.wait()
    for path in tmp_path.glob("??/*.json"):
        json.loads(path.read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        records = list(Store(tmp_path).records())
    assert len(records) >= 20
    assert all(Store(tmp_path).predictions(r.key)["z"].shape == (50, 50) for r in records)
    Store(tmp_path).sweep()
    assert not list(tmp_path.rglob("*.part"))


def test_a_lock_of_a_dead_process_is_taken_over_and_a_live_one_is_not(tmp_path):
    lock = tmp_path / "locks" / "key"
    code = (
        "import sys, os; from pathlib import Path; from dalib.records.locks import acquire; acquire(Path(sys.argv[1]))"
    )
    assert acquire(lock)
    assert not acquire(lock)
    release(lock)
    subprocess.run([sys.executable, "-c", code, str(lock)], check=True)
    assert lock.exists()
    assert not is_held(lock)
    assert acquire(lock)
    assert str(os.getpid()) in lock.read_text()


def test_a_compressed_archive_is_the_same_archive_and_the_same_bytes(suite, tmp_path):
    import io

    from dalib.bench.progress import LineProgress
    from dalib.bench.runner import run_suite
    from dalib.records.archive import Archive, export

    run_suite(
        suite, store=tmp_path / "store", run="tests.support.fake_runs:finish", progress=LineProgress(io.StringIO())
    )
    store = Store(tmp_path / "store")
    manifest = store.manifest(suite.name)
    paths = [tmp_path / name for name in ("a.jsonl", "a.jsonl.gz", "b.jsonl.gz")]
    assert {export(store, manifest, path) for path in paths} == {12}
    plain, packed = Archive(paths[0]), Archive(paths[1])
    assert [r.key for r in plain.records()] == [r.key for r in packed.records()]
    assert paths[1].read_bytes() == paths[2].read_bytes()
    paths[1].write_bytes(paths[1].read_bytes()[:40])
    with pytest.raises(DalibError, match="damaged"):
        Archive(paths[1])
    *lines, _ = paths[0].read_bytes().splitlines(keepends=True)
    paths[0].write_bytes(b"".join(lines))
    assert len(list(Archive(paths[0]).records())) == 12, "files of before had no checksum"
    paths[0].write_bytes(b"".join(lines[:-1]))
    with pytest.raises(DalibError, match="damaged"):
        Archive(paths[0])
