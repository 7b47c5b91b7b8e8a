"""A command that ends in an error leaves no folder that it made for nothing; what takes minutes is said first."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from dalib.cli import main
from dalib.core.errors import TakesLong


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "argv",
    [
        ["merge", "unheardof://bucket/runs", "--into", "new/store"],
        ["merge", "nowhere", "--into", "new/store"],
        ["merge", "memory://nothing", "--into", "new/store"],
        ["import", "nothing.jsonl", "--store", "new/store"],
        ["report", "no_such_suite", "--out", "new/page"],
        ["export", "no_such_suite", "--out", "new/file.jsonl"],
        ["table", "no_such_suite", "--write", "new/tables"],
        ["run", "no_such_suite", "--store", "new/store", "--tables", "other/tables"],
    ],
)
def test_a_mistake_leaves_no_empty_folder(argv: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert capsys.readouterr().err.startswith("dalib: ")
    assert list(here.iterdir()) == []


def test_folders_that_were_there_or_hold_something_stay(here: Path) -> None:
    (here / "old").mkdir()
    assert main(["merge", "nowhere", "--into", "old/store"]) == 2
    assert (here / "old").is_dir() and not (here / "old" / "store").exists()
    np.savez(here / "rows.npz", a_x=np.zeros((9, 2)), a_y=np.arange(9) % 2, b_x=np.ones((9, 2)), classes=["x", "y"])
    assert main(["merge", "nowhere", "--into", "old"]) == 2
    assert (here / "old").is_dir()


def test_what_takes_long_is_said_at_once_and_other_warnings_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(args: list[str]) -> int:
        warnings.warn("of the fit", UserWarning, stacklevel=1)
        warnings.warn("kmm takes about 12 minutes", TakesLong, stacklevel=1)
        print("work", file=sys.stderr)
        return 0

    monkeypatch.setattr("dalib.cli._app.run_command", command)
    assert main(["x"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "dalib: kmm takes about 12 minutes", "work", "dalib: warning: of the fit"
    ]  # fmt: skip
