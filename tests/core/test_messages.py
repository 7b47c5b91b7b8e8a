"""Messages of the library are read by people who type commands and by people who write Python: both are served."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import dalib

PACKAGE = Path(dalib.__file__).parent
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
COMMAND = re.compile(r"dalib [a-z]+ [^;:()]*$")


def texts(tree: ast.AST) -> Iterator[str]:
    """Every text of a module but its docstrings; what is filled in is `{}`."""
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        parent = getattr(node, "parent", None)
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
        elif isinstance(getattr(node, "value", None), str) and not isinstance(parent, (ast.JoinedStr, ast.Expr)):
            yield str(node.value)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "file", [p for p in sorted(PACKAGE.rglob("*.py")) if p.relative_to(PACKAGE).parts[0] != "cli"], ids=str
)
def test_an_option_that_a_message_names_has_its_argument_beside_it(file: Path) -> None:
    for text in texts(ast.parse(file.read_text(encoding="utf-8"))):
        for option in OPTION.finditer(text):
            if re.fullmatch(r"\s*--[\w.-]+( \w+)?\s*", text):
                continue  # a word of a command that is put together, not a message
            after, before = text[option.end() :], text[: option.start()]
            explained = re.search(r"\([\w.]+(=|\)| = |, )", after) or re.search(r"\(dalib\.\w+", after)
            assert explained or COMMAND.search(before), f"{option[0]} in {text!r}"
