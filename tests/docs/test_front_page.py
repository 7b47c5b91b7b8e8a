"""The front page: four cards that lead somewhere, and a picture whose numbers are those of the committed tables."""

from __future__ import annotations

import csv
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
FRONT = (ROOT / "docs/index.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def picture() -> ModuleType:
    spec = importlib.util.spec_from_file_location("front_picture", ROOT / "docs/front_picture.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_four_cards_lead_to_pages() -> None:
    cards = re.findall(r":::\{container\} front-card\n(.*?):::", FRONT, re.DOTALL)
    assert len(cards) == 4
    for card in cards:
        for target in re.findall(r"\]\(([^)]+)\)", card):
            page = ROOT / "docs" / (target if target.endswith(".md") else f"gallery/{Path(target).name}.py")
            assert page.is_file() or target == "examples/index", target
    assert FRONT.count("_static/front-") == 2


def test_the_picture_shows_the_gains_of_the_tables(picture: ModuleType, tmp_path: Path) -> None:
    gains = {name: pair for name, *pair in picture.gains()}
    assert len(gains) > 50 and "source_only" not in gains and "target_labels" not in gains
    for at, name in enumerate(picture.SETS):
        with (ROOT / f"results/tables/{name}.csv").open(encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["kind"] == "run" and row["select"] == "last"]
        told: dict[str, list[float]] = {}
        for row in rows:
            told.setdefault(row["label"], []).append(float(row["mean"]))
        base = sum(told["source_only"]) / len(told["source_only"])
        for method in gains:
            expected = sum(told[method]) / len(told[method]) - base
            assert gains[method][at] == pytest.approx(expected, abs=0.002), method
    picture.draw(tmp_path)
    for scheme in ("light", "dark"):
        assert (tmp_path / f"front-{scheme}.svg").read_text(encoding="utf-8").startswith("<?xml")
