"""dalib's blocks of docs/from-skada-and-adapt.md run as they stand, and the table is one of what the script runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "from-skada-and-adapt.md").read_text(encoding="utf-8")


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.S):
        exec(compile(block, "from-skada-and-adapt.md", "exec"), names)
    scores = [float(x) for x in re.findall(r"\b[01]\.\d\d\b", capsys.readouterr().out)[:6]]
    assert min(scores) > 0.6 and max(scores) > 0.9


def test_every_example_of_the_table_is_in_the_script() -> None:
    script = (ROOT / "benchmarks" / "peers" / "tables.py").read_text(encoding="utf-8")
    examples = re.findall(r"^\| ((?:skada|ADAPT), .*?|1 500.*?) \| (?:skada|ADAPT|POT) \|", PAGE, re.M)
    assert len(examples) > 15 and all(f'"{example}"' in script for example in examples)
