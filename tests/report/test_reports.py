"""Where a report's records come from, and what is said of them beforehand."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

import dalib
from dalib.bench.suite import load_suite
from dalib.cli import main

RUN = "tests.support.fake_runs:finish"


def test_a_suite_that_changed_after_its_runs_is_warned_of(
    suite_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its table is of the runs before, with their numbers, until they are run again."""
    store = tmp_path / "store"
    dalib.run_suite(suite_file, store=store, run=RUN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dalib.table(suite_file, store=store)
    suite_file.write_text(suite_file.read_text().replace("weight = 0.5", "weight = 0.7"))
    with pytest.warns(UserWarning, match="suite demo is not what it was when dalib run"):
        dalib.table(suite_file, store=store)
    for command in (["table", str(suite_file)], ["status", str(suite_file)]):
        assert main([*command, "--store", str(store)]) == 0
        assert "suite demo is not what it was" in capsys.readouterr().err
    dalib.run_suite(suite_file, store=store, run=RUN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dalib.table(suite_file, store=store)


def test_settings_beside_the_file_are_warned_of_and_a_suite_of_ones_own_is_itself(
    suite_file: Path, tmp_path: Path
) -> None:
    suite = load_suite(suite_file, {"train": {"steps": 9}})
    dalib.run_suite(suite, store=tmp_path / "store", run=RUN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dalib.table(suite, store=tmp_path / "store")
    with pytest.warns(UserWarning, match="or settings were given beside it"):
        dalib.table(suite_file, store=tmp_path / "store")


@pytest.mark.parametrize("study", ["validators", "costs"])
def test_a_study_that_selects_nothing_refuses_a_rule(
    study: str, suite_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dalib.run_suite(suite_file, store=tmp_path / "store", run=RUN)
    assert main(["table", str(suite_file), "--store", str(tmp_path / "store"), f"--{study}", "--select", "oracle"]) == 2
    assert capsys.readouterr().err.count("leave out --select (select='oracle')") == 1
    dalib.table(suite_file, study, store=tmp_path / "store")
