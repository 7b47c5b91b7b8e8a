"""Damage of every kind and inputs that somebody got wrong: nothing silent, no traceback, no hang.

A few tries of each here; `python -m tests.faults` does hundreds and prints what became of them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.faults import flips, mutated
from tests.faults.table import is_clean, show


@pytest.fixture(autouse=True)
def stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The scripts move to another folder and set variables; both are as before afterwards."""
    monkeypatch.chdir(tmp_path)
    for name in ("DALIB_CACHE", "FAKE_LOG"):
        monkeypatch.setenv(name, str(tmp_path / name))


def _check_flips(tries: int) -> None:
    table = flips.tabulate(tries)
    assert len(table) == 8
    for kind, counts in table.items():
        assert (counts["silent"], counts["traceback"]) == (0, 0), kind
        assert counts["refused"] > 0.8 * tries, kind


def _check_mutants(suites: int, commands: int, models: int) -> None:
    table, log = mutated.tabulate(suites, commands, models)
    for kind, counts in table.items():
        assert (counts["traceback"], counts["hang"]) == (0, 0), (kind, log)
        assert counts["right"] and counts["refused"], kind


def test_no_damage_passes_unseen() -> None:
    _check_flips(20)


def test_mistakes_are_one_line() -> None:
    _check_mutants(60, 40, 40)


@pytest.mark.slow
def test_no_damage_passes_unseen_in_two_hundred_tries() -> None:
    _check_flips(200)


@pytest.mark.slow
def test_mistakes_are_one_line_in_seventeen_hundred_tries() -> None:
    _check_mutants(1000, 500, 200)


FORKS = pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")


def _check(table: Mapping[str, Counter[str]]) -> None:
    assert all(map(is_clean, table.values())), "\n" + show(table)
    assert all(counts.total() for counts in table.values())


@FORKS
def test_a_few_scenes_of_several_writers_are_right() -> None:
    from tests.faults import writers

    _check(writers.tabulate(1))


@FORKS
@pytest.mark.slow
def test_whoever_dies_sleeps_or_lives_elsewhere_every_run_is_done_once() -> None:
    from tests.faults import writers

    _check(writers.tabulate(30))


@FORKS
@pytest.mark.slow
def test_what_is_stopped_at_random_goes_on_to_the_same_bits() -> None:
    from tests.faults import kills

    _check(kills.tabulate(60))


@FORKS
@pytest.mark.slow
def test_hostile_files_and_names_do_no_harm() -> None:
    from tests.faults import hostile, hostile_names

    _check(hostile.tabulate() | hostile_names.tabulate())
