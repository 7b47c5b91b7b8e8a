"""docs/recipe.md: tables of the search of methods and of the plain script come out of their committed runs again."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("module", ["method_search", "plain_script"])
def test_the_table_comes_out_of_its_runs(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    importlib.import_module(module).write_tables(tmp_path)
    for name in (f"{module}.md", f"{module}.csv"):
        assert (tmp_path / name).read_text() == (ROOT / "results" / "tables" / name).read_text()
