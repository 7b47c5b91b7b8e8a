"""A suite whose runs train together leaves the records that single runs leave."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dalib.bench.fleet import LARGEST, do_item, pack
from dalib.bench.progress import LineProgress
from dalib.bench.runner import Summary, run_suite
from dalib.bench.work import Job
from dalib.core.errors import DalibError
from dalib.records.locks import acquire
from dalib.records.record import Record
from dalib.records.store import Store

TEXT = """
dataset = "features:blobs.npz"
seeds = [0, 1]
tasks = ["a->b", "b->a"]
validators = ["entropy", "bnm"]
[train]
steps = 12
batch_size = 8
bottleneck = 8
evaluations = 2
[algorithms.source_only]
[algorithms.dann]
hidden = 16
dropout = 0
[algorithms.faster]
algorithm = "source_only"
train = { lr = 0.05 }
[algorithms.coral]
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    y = np.arange(30) % 3
    x = {d: 2 * np.eye(3, 6)[y] + rng.normal(size=(30, 6)) + shift for d, shift in (("a", 0.0), ("b", 0.5))}
    arrays = {f"{d}_x": v.astype(np.float32) for d, v in x.items()}
    np.savez(tmp_path / "blobs.npz", **arrays, **{f"{d}_y": y for d in x})
    (tmp_path / "small.toml").write_text(TEXT)
    return tmp_path / "small.toml"


def _run(suite: Path, folder: str, **options: Any) -> tuple[Summary, Store]:
    store = suite.parent / folder
    done = run_suite(suite, store=store, device="cpu", progress=LineProgress(io.StringIO()), **options)
    return done, Store(store)


def _records(store: Store) -> dict[str, Record]:
    return {run.key: store.get(run.key) for run in store.manifest("small").runs}


def _assert_close(a: Any, b: Any, where: str = "") -> None:
    if isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            _assert_close(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), where
        for i, (u, v) in enumerate(zip(a, b, strict=True)):
            _assert_close(u, v, f"{where}[{i}]")
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-5), where
    else:
        assert a == b, where


def test_records_of_a_fleet_are_those_of_single_runs(suite: Path) -> None:
    done_alone, alone = _run(suite, "alone", fleet="off")
    done_together, together = _run(suite, "together", fleet="on")
    assert (done_alone.done, done_together.done) == (16, 16)
    found = _records(together)
    for key, expected in _records(alone).items():
        record = found[key]
        alike = {"candidates", "per_class", "curve", "counts", "warnings", "status", "spec"}
        _assert_close(record.model_dump(include=alike), expected.model_dump(include=alike), expected.spec.algorithm)
        a, b = together.predictions(key), alone.predictions(key)
        assert list(a) == list(b)
        for name in a:
            np.testing.assert_allclose(a[name].astype(float), b[name].astype(float), rtol=2e-3, atol=1e-3)
        sizes = {"source_only": 8, "dann": 4, "coral": None}
        assert record.provenance.get("fleet") == sizes[record.spec.algorithm]
        assert "fleet_failed" not in record.provenance and "fleet" not in expected.provenance
        assert set(record.provenance) - {"fleet"} == set(expected.provenance)
        assert set(record.seconds) == set(expected.seconds) and min(record.seconds.values()) >= 0


def test_runs_with_a_record_stay_out_of_the_fleet(suite: Path) -> None:
    _, store = _run(suite, "store", fleet="on", only=["source_only", "dann"])
    again = [r.key for r in store.manifest("small").runs if r.label == "dann" and r.seed == 1]
    for key in again:
        store.path(key).unlink()
    done, store = _run(suite, "store", fleet="on", only=["source_only", "dann"])
    assert (done.done, done.skipped) == (2, 6)
    assert [store.get(key).provenance["fleet"] for key in again] == [2, 2]


def test_a_fleet_that_fails_is_run_one_at_a_time(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(members: Any) -> Any:
        raise RuntimeError("out of memory")

    _, alone = _run(suite, "alone", fleet="off", only=["dann"])
    monkeypatch.setattr("dalib.train.fleet.fit_fleet", fail)
    monkeypatch.setattr("dalib.train.fleetable.can_fleet", lambda algorithm: "")
    done, store = _run(suite, "store", fleet="on", only=["dann"])
    assert (done.done, done.failed) == (4, 0)
    for run in store.manifest("small").runs:
        if run.label == "dann":
            record = store.get(run.key)
            assert record.provenance["fleet_failed"] == "RuntimeError: out of memory"
            assert record.candidates == alone.get(run.key).candidates


def test_a_member_that_fails_is_run_alone_and_the_others_are_not(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dalib.train import fleet

    real = fleet.fit_fleet

    def spoil(members: Any) -> Any:
        return [ValueError("unlucky"), *real(members)[1:]]

    monkeypatch.setattr("dalib.train.fleet.fit_fleet", spoil)
    monkeypatch.setattr("dalib.train.fleetable.can_fleet", lambda algorithm: "")
    done, store = _run(suite, "store", fleet="on", only=["dann"])
    assert (done.done, done.failed) == (4, 0)
    records = [r for key, r in _records_of(store, "dann").items()]
    assert sorted("fleet_failed" in r.provenance for r in records) == [False, False, False, True]


def _records_of(store: Store, label: str) -> dict[str, Record]:
    return {run.key: store.get(run.key) for run in store.manifest("small").runs if run.label == label}


def _jobs(suite: Path, labels: tuple[str, ...] = ("source_only", "faster", "dann", "coral")) -> list[Job]:
    from dalib.assemble import RunContext
    from dalib.bench.plan import plan
    from dalib.bench.suite import load_suite

    store = suite.parent / "jobs"
    root = RunContext(device="cpu", root=str(suite.parent))
    return [
        Job(r.key, r.label, r.spec, root, store, "dalib.bench.run:run_one", 0)
        for r in plan(load_suite(suite)).runs
        if r.label in labels
    ]


def test_packing(suite: Path) -> None:
    jobs = _jobs(suite)
    assert [len(item) for item in pack(jobs, "off")] == [1] * 16
    assert [len(item) for item in pack(jobs, "auto")] == [1] * 16  # a CPU
    sizes = {item[0].label: len(item) for item in pack(jobs, "on")}
    assert sizes == {"source_only": 8, "dann": 4, "coral": 1}
    assert sorted(len(item) for item in pack(jobs, "on", 2)) == [1, 1, 1, 1, 2, 2, 4, 4]
    assert sorted(job.key for item in pack(jobs, "on", 3) for job in item) == sorted(job.key for job in jobs)
    many = [job for job in jobs if job.label == "source_only"] * 40
    assert max(len(item) for item in pack(many, "on")) == LARGEST
    assert pack([], "on") == []


def test_a_run_that_another_process_has_is_left_to_it(suite: Path) -> None:
    jobs = _jobs(suite, ("source_only",))
    assert acquire(Store(jobs[1].store).lock(jobs[1].key))
    results = do_item(tuple(jobs))
    assert [r.status for r in results] == ["ok", "busy", "ok", "ok"]
    assert [r.key for r in results] == [job.key for job in jobs]
    assert [r.status for r in do_item(tuple(j for j in jobs if j is not jobs[1]))] == ["elsewhere"] * 3


def test_an_unknown_mode_is_an_error(suite: Path) -> None:
    with pytest.raises(DalibError, match="fleet = 'maybe'"):
        _run(suite, "store", fleet="maybe")
