"""Damage of every kind and inputs that somebody got wrong: nothing silent, no traceback, no hang.

A few tries of each here; `python -m tests.faults.flips` and `python -m tests.faults.mutated` do hundreds.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The scripts move to another folder and set variables; both are as before afterwards."""
    monkeypatch.chdir(tmp_path)
    for name in ("DALIB_CACHE", "FAKE_LOG"):
        monkeypatch.setenv(name, str(tmp_path / name))


def _check_flips(tries: int) -> None:
    table = _load("flips").tabulate(tries)
    assert len(table) == 8
    for kind, counts in table.items():
        assert (counts["silent"], counts["traceback"]) == (0, 0), kind
        assert counts["refused"] > 0.8 * tries, kind


def _check_mutants(suites: int, commands: int, models: int) -> None:
    table, log = _load("mutated").tabulate(suites, commands, models)
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
