"""The examples of the gallery, which `make docs` runs: each has its place, a text, a picture, and needs no checkout."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

import dalib

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "docs/gallery").glob("*.py"))
CONF = (ROOT / "docs/conf.py").read_text(encoding="utf-8")


def order() -> tuple[str, ...]:
    spec = importlib.util.spec_from_file_location("gallery_order", ROOT / "docs/gallery_order.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    keys = [module.GalleryOrder("gallery")(path.name) for path in EXAMPLES]
    assert sorted(keys) == list(range(len(EXAMPLES)))
    found: tuple[str, ...] = module.ORDER
    return found


def test_every_example_has_its_place_and_is_run() -> None:
    assert sorted(order()) == [path.stem for path in EXAMPLES] and 10 <= len(EXAMPLES) <= 20
    assert '"filename_pattern": r"\\.py$"' in CONF and '"abort_on_example_error": True' in CONF
    assert '"plot_gallery": "True"' in CONF, "they are executed when the documentation is built"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_titled_short_drawn_and_of_public_names(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    title, rule, *rest = (ast.get_docstring(tree) or "").splitlines()
    assert rule == "=" * len(title) and any(line.strip() for line in rest)
    assert text.count("\n# %%\n") >= 2 and len(text.splitlines()) <= 90
    assert "plt.subplots" in text, "its picture in the gallery"
    used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
            and n.value.id == "dalib"}  # fmt: skip
    used |= {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module == "dalib" for a in n.names}
    assert used and all(hasattr(dalib, name) for name in used), "public names only"
    assert not re.search(r"results/|benchmarks/|DALIB_DATA", text), "a notebook has no checkout beside it"
