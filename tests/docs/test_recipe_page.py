"""docs/recipe.md: the table of the search of methods comes out of its committed runs again."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_of_the_search_comes_out_of_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    importlib.import_module("method_search").write_tables(tmp_path)
    for name in ("method_search.md", "method_search.csv"):
        assert (tmp_path / name).read_text() == (ROOT / "results" / "tables" / name).read_text()
