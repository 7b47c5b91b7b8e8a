"""The Python of the pages on plug-ins and objectives runs, and the plug-ins in it pass their checks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dalib.checks import check_plugin
from dalib.core.registry import REGISTRIES

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(autouse=True)
def registries_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page registers is gone after its test."""
    for registry in REGISTRIES.values():
        monkeypatch.setattr(registry, "_extra", dict(registry._extra))


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["add-an-algorithm.md", "metrics.md", "protocols.md"])
def test_the_plugin_of_the_page_passes_its_checks(page: str, tmp_path: Path) -> None:
    path = tmp_path / "of_the_page.py"
    text = blocks(page)[0]
    path.write_text(text if text.startswith('"""') else f'"""Of the page."""\n\n{text}', encoding="utf-8")
    failed = [f"{r.name}: {r.message}" for r in check_plugin(path) if not r.passed]
    assert not failed


def test_the_listeners_page_runs() -> None:
    names: dict[str, Any] = {}
    exec(compile(blocks("listeners.md")[0], "listeners.md", "exec"), names)
    rows = names["tracker"].rows
    assert [row["step"] for row in rows] == [10, 20, 30, 40]
    assert rows[-1]["classification"] < rows[0]["classification"]


def test_the_objectives_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks("objectives.md"):
        exec(compile(block, "objectives.md", "exec"), names)
    results = names["results"]
    assert set(results) == {"SourceOnly", "AdaBN", "DeepCORAL"} and min(r["target_r2"] for r in results.values()) > 0.5
    assert results["DeepCORAL"]["target_rmse"] < results["SourceOnly"]["target_rmse"]
