"""Whatever a page, the README or an example of the gallery takes from dalib has an entry in the reference."""

from __future__ import annotations

import importlib
import re
import types
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
API = (DOCS / "api.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *DOCS.glob("*.md"), *DOCS.glob("gallery/*.py")]
GENERATED = ("dalib.algorithms.", "dalib.nn.")
"""Rooms whose pages are made from the code, all of it: algorithms.md and functions.md."""


def resolve(name: str) -> Any:
    """The object of a dotted name, or None."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part, None)
        return found
    return None


def entries() -> list[Any]:
    """What api.md documents; of a module what its `:members:` lists."""
    found = []
    for name, members in re.findall(r"\.\. auto\w+:: (dalib(?:\.\w+)+)\n(?:   :members: ?(.*)\n)?", API):
        thing = resolve(name)
        assert thing is not None, f"{name} is on the page and nowhere else"
        inside = members.split(", ") if isinstance(thing, types.ModuleType) else []
        found += [thing, *(getattr(thing, member) for member in inside)]
    return found


def taken(text: str) -> set[str]:
    """Dotted names, and what is imported; files (`dalib/x.md`) and addresses are none."""
    names = set(re.findall(r"(?<![\w./-])(dalib(?:\.[A-Za-z]\w*)+)", text))
    for module, imported in re.findall(r"from (dalib(?:\.\w+)*) import \(?([\w, \n]+)", text):
        names |= {f"{module}.{part.split(' as ')[0].strip()}" for part in imported.split(",") if part.strip()}
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_function_and_class_that_a_page_takes_is_in_the_reference(page: Path) -> None:
    known = [id(thing) for thing in entries()]
    missing = []
    for name in sorted(taken(page.read_text(encoding="utf-8"))):
        thing = resolve(name)
        if not isinstance(thing, (type, types.FunctionType)):
            continue  # a module, a number, or the name of a file
        if not f"{thing.__module__}.".startswith(GENERATED) and id(thing) not in known:
            missing.append(name)
    assert not missing, f"give them an entry in docs/api.md: {missing}"


def test_what_is_looked_for_is_found() -> None:
    assert taken("see `dalib.fit` and\nfrom dalib.core.hyper import flag, text as t\n") >= {
        "dalib.fit",
        "dalib.core.hyper.flag",
        "dalib.core.hyper.text",
    }
    assert len(entries()) > 90 and resolve("dalib.nowhere") is None


def test_nothing_has_two_entries() -> None:
    names = re.findall(r"\.\. auto\w+:: (dalib(?:\.\w+)+)\n", API)
    assert sorted(names) == sorted(set(names))
