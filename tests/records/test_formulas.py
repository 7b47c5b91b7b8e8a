"""Versions of validators and metrics beside the numbers they gave."""

from __future__ import annotations

from pathlib import Path

import pytest

import dalib
from dalib.cli import main
from dalib.core.metric import Metric
from dalib.core.registry import METRICS, VALIDATORS
from dalib.core.validator import Validator
from dalib.records.exchange import join
from dalib.records.formulas import formulas_now
from dalib.records.record import Candidate, Record
from dalib.records.spec import DataSpec, RunSpec
from dalib.records.store import Store

RUN = "tests.support.fake_runs:finish"


class Second(Validator):
    version = 2


class Third(Metric):
    version = 3


def test_the_version_read_in_a_file_is_its_classs() -> None:
    for registry in (VALIDATORS, METRICS):
        assert {name: registry.version(name) for name in registry.names()} == {
            name: registry.get(name).version for name in registry.names()
        }


def test_what_is_no_longer_in_its_first_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = formulas_now()
    monkeypatch.setitem(VALIDATORS._extra, "snd", Second)
    monkeypatch.setitem(METRICS._extra, "accuracy", Third)
    assert formulas_now() == before | {"validator snd": 2, "metric accuracy": 3}


def test_a_table_says_which_of_its_numbers_are_of_another_version(
    suite_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "store")
    dalib.run_suite(suite_file, store=store.root, run=RUN)
    assert "ANOTHER VERSION" not in dalib.table(suite_file, store=store.root).caption
    monkeypatch.setitem(METRICS._extra, "accuracy", Third)
    runs = len(list(store.records()))
    assert main(["table", str(suite_file), "--store", str(store.root)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"Of ANOTHER VERSION than today's: metric accuracy (runs: {runs})" in told
    for record in store.records():
        record.provenance["formulas"] = {"metric accuracy": 3}
        store.update(record)
    assert "ANOTHER VERSION" not in dalib.table(suite_file, store=store.root).caption


def test_records_that_are_joined_keep_the_versions_of_both() -> None:
    spec = RunSpec(data=DataSpec(dataset="toy"), source="a", target="b", algorithm="source_only")
    one, other = (
        Record(
            key=spec.key, spec=spec, status="ok", provenance={"formulas": {f"validator {name}": 2}},
            candidates=[Candidate(step=1, metrics={}, scores={name: 0.5})],
        )
        for name in ("snd", "ami")
    )  # fmt: skip
    joined = join(one, other)
    assert joined is not None and joined.provenance["formulas"] == {"validator snd": 2, "validator ami": 2}
