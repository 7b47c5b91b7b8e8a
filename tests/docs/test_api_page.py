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
