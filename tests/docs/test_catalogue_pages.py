"""The pages that are made from the registries and docstrings can be made, and hold everything."""

from __future__ import annotations

import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import dalib.nn
from dalib.core.registry import ALGORITHMS, REGISTRIES

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def catalogue() -> ModuleType:
    spec = importlib.util.spec_from_file_location("catalogue", DOCS / "catalogue.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_made_and_names_what_there_is(catalogue: ModuleType, tmp_path: Path) -> None:
    catalogue.write(tmp_path)
    functions, algorithms, plugins = (
        (tmp_path / f"{name}.md").read_text(encoding="utf-8") for name in ("functions", "algorithms", "plugins")
    )
    assert all(f"## dalib.nn.{info.name}\n" in functions for info in pkgutil.iter_modules(dalib.nn.__path__))
    assert all(name in algorithms for name in ALGORITHMS.files())
    others = [r for kind, r in REGISTRIES.items() if kind != "algorithms" and r is not ALGORITHMS]
    assert [name for r in others for name in r.names() if name not in plugins] == []


def test_lines_that_were_full_go_on_and_formulas_keep_their_lines(catalogue: ModuleType) -> None:
    word = "word " * 22
    text = f"{word}\nand so on.\n\nz = x\ny = z\nArgs\n    k: {word}\n        and on\n    n: of rows"
    assert catalogue.flow(text) == f"{word} and so on.\n\nz = x\ny = z\nArgs\n    k: {word} and on\n    n: of rows"
