"""The blocks of docs/tables.md run as they stand, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tables.md"


def test_the_page_runs_and_adaptation_helps(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S):
        exec(compile(block, str(PAGE), "exec"), names)
    alone, adapted, *rest = (float(x) for x in re.findall(r"\b[01]\.\d\d\b", capsys.readouterr().out))
    assert alone < 0.8 < adapted and rest[-1] > 0.9
    assert isinstance(names["grid"].best_params_["algorithm"], names["CORAL"])
