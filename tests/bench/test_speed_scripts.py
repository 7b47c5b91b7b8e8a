"""The scripts in benchmarks/speed answer --help, and their quick form prints a table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import HANG

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "speed"
SCRIPTS = sorted(p.name for p in FOLDER.glob("*.py") if not p.name.startswith("_"))


def run(script: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, str(FOLDER / script), *options],
        capture_output=True,
        text=True,
        timeout=HANG,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_speed_script_compiles_and_says_how_it_is_run(script: str) -> None:
    text = (FOLDER / script).read_text(encoding="utf-8")
    compile(text, script, "exec")
    assert f"python benchmarks/speed/{script}" in text.partition('"""')[2].partition('"""')[0]
    assert "--quick" in text


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_speed_script_describes_its_options(script: str) -> None:
    assert "--quick" in run(script, "--help")


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_quick_form_of_a_speed_script_prints_a_table(script: str) -> None:
    rows = [line for line in run(script, "--quick").splitlines() if line.startswith("| ")]
    assert len(rows) >= 3, "a header, a rule and at least one row"
    assert len({row.count("|") for row in rows[:3]}) == 1
