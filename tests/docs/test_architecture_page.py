"""docs/architecture.md and CONTRIBUTING.md name the rooms, layers and files that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dalib.core.registry import REGISTRIES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_room_is_described() -> None:
    rooms = {p.name for p in (ROOT / "dalib").iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    told = re.findall(r"^\| `([\w.]+)` \|", PAGE.partition("## Layers")[0], re.MULTILINE)
    assert sorted(told) == sorted(rooms - {"__init__.py"})


def test_the_layers_are_those_of_the_contract() -> None:
    listed = re.search(r"layers = \[(.*?)\n\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.DOTALL)
    assert listed
    layers = [line.replace("dalib.", "") for line in re.findall(r'"(.*)"', listed[1])]
    block = re.search(r"```\n(cli\n.*?)```", PAGE, re.DOTALL)
    assert block and block[1].splitlines() == layers
    told = re.search(r"Imports point down only: (.*?)\. Reports", " ".join(GUIDE.split()))
    assert told and [set(re.findall(r"\w+", part)) for part in told[1].split("<")] == [
        set(re.findall(r"\w+", layer)) for layer in reversed(layers)
    ]


@pytest.mark.parametrize("text", [PAGE, GUIDE], ids=["architecture", "contributing"])
def test_every_file_that_is_named_exists(text: str) -> None:
    named = {*re.findall(r"`([\w/.]+(?:/|\.py|\.json|\.md))`", text), *re.findall(r"\]\(([\w/.-]+\.md)", text)}
    assert len(named) > 7
    gone = [path for path in named if not any((ROOT / start / path).exists() for start in ("", "dalib", "docs"))]
    assert gone == []


def test_every_kind_of_plug_in_is_in_the_guide() -> None:
    rows = dict(re.findall(r"^\| (\w+) \| `dalib/([\w/]+)` \|", GUIDE, re.MULTILINE))
    assert rows == {r.kind: r.package.removeprefix("dalib.").replace(".", "/") for r in REGISTRIES.values()}


def test_the_guide_names_targets_of_make() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert (
        {"lint", "test", "docs", "tables", "stub", "costs", "speed"}
        <= set(re.findall(r"`make ([a-z-]+)", GUIDE))
        <= targets
    )


def test_every_page_is_in_one_group_of_the_front_page() -> None:
    """Pages that are made when the documentation is built are named by docs/catalogue.py."""
    front = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    groups = re.findall(r"```{toctree}\n:caption: (.*?)\n:maxdepth: 1\n\n(.*?)```", front, re.DOTALL)
    assert [caption for caption, _ in groups] == ["Start", "How-to", "Studies", "Reference", "Develop"]
    lines = [line for _, body in groups for line in body.splitlines()]
    pages = [re.sub(r".*<(.*)>", r"\1", line) for line in lines]
    made = set(re.findall(r'"([a-z]+)\.md"', (ROOT / "docs" / "catalogue.py").read_text(encoding="utf-8")))
    written = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    gallery = {"examples/index"}  # sphinx-gallery's, from docs/gallery
    assert len(pages) == len(set(pages)) and set(pages) == written | made | gallery and len(made) == 3
