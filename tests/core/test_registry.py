"""What a file of plug-ins may hold beside its class."""

from __future__ import annotations

import re
from pathlib import Path

import dalib
from dalib.core.registry import is_class


def test_a_parametrised_type_is_no_class_on_any_python() -> None:
    assert is_class(bool, int) and not is_class(str, int) and not is_class(1, int)
    assert not is_class(list[str], object) and not is_class(dict[str, int], dict)


def test_nothing_asks_for_subclasses_without_it() -> None:
    """Python 3.10 takes `list[str]` for a class, and `issubclass` then raises: such a line fails there alone."""
    files = Path(dalib.__file__).parent.rglob("*.py")
    found = [str(p) for p in files if re.search(r", type\) (and|or)", p.read_text(encoding="utf-8"))]
    assert found == [str(Path(dalib.__file__).parent / "core/registry.py")]
