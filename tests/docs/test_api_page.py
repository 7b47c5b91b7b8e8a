"""Docstrings as the API page shows them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "docstrings.py"


@pytest.fixture(scope="module")
def docstrings() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docstrings", PAGE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DOCSTRING = """One `line` with a * and a_b.

Args
    first, second: numbers
        that go on `here`
    third: a word

Raises
    DalibError: never

steps: of the optimiser
    and more

A formula:
    x = y | z

Example
    fit(a)
"""

SHOWN = """One ``line`` with a \\* and a\\_b.

**Args**

- ``first``, ``second``: numbers
  that go on ``here``
- ``third``: a word

**Raises**

- ``DalibError``: never

- ``steps``: of the optimiser
  and more

A formula:

::

    x = y | z

**Example**

::

    fit(a)
"""


def test_sections_are_lists_code_is_code_and_formulas_stay_as_they_are(docstrings: ModuleType) -> None:
    lines = "\n".join(docstrings.to_rst(DOCSTRING.splitlines())).splitlines()
    kept = [line for i, line in enumerate(lines) if line or (i and lines[i - 1])]
    assert kept == SHOWN.splitlines()


@pytest.fixture(scope="module")
def api_page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("api_page", PAGE.with_name("api_page.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry(name: str) -> str:
    return f"```{{eval-rst}}\n.. autofunction:: dalib.{name}\n```\n\n"


def test_a_section_begins_with_a_table_of_its_names(api_page: ModuleType) -> None:
    few, many = f"## Few\n\n{entry('fit')}", f"## Many\n\nWords.\n\n{entry('a')}{entry('b')}{entry('c')}"
    told = api_page.add_summaries(f"# API\n\n{few}{many}")
    table = "```{eval-rst}\n.. autosummary::\n   :nosignatures:\n\n   dalib.a\n   dalib.b\n   dalib.c\n```\n\n"
    assert told == f"# API\n\n{few}## Many\n\nWords.\n\n{table}{entry('a')}{entry('b')}{entry('c')}"


def test_names_in_tables_link_to_their_entries(api_page: ModuleType) -> None:
    line = "| `dalib train` | `dalib.fit`, `dalib.none`, `dalib.fit(1)` |\n`dalib.fit`\n"
    told = api_page.link_names(line + entry("fit"))
    assert told == line.replace("| `dalib.fit`,", "| {py:obj}`dalib.fit`,") + entry("fit")


def test_every_command_s_function_is_a_link(api_page: ModuleType) -> None:
    text = PAGE.with_name("api.md").read_text(encoding="utf-8")
    source = [text]
    api_page.read_page(None, "api", source)
    rows = [line for line in source[0].splitlines() if line.startswith("| `dalib ")]
    assert len(rows) > 15 and sum("{py:obj}" in row for row in rows) > 12
    assert source[0].count(".. autosummary::") > 8
    other = [text]
    api_page.read_page(None, "results", other)
    assert other == [text]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("(a: Annotated[int, Ge(ge=0)] = 1)", "(a: int = 1)"),
        ("(a: typing.Annotated[dict[str, int], f(x=(1, 2))] | None, b: str)", "(a: dict[str, int] | None, b: str)"),
        ("(a: Annotated[list[Annotated[int, Gt(gt=0)]], x])", "(a: list[int])"),
        ("(a: int)", "(a: int)"),
    ],
)
def test_bounds_are_left_to_the_docstring(given: str, shown: str, api_page: ModuleType) -> None:
    assert api_page.strip_annotated(given) == shown
