"""A list-table of reStructuredText, for Sphinx and other readers of docutils."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from dalib.core.text import show_control
from dalib.report.sheet import Sheet, Shown
from dalib.report.table_format import TableFormat

_HARMLESS = re.compile(r"[^\W\d_]{2,}(?![^\W\d_]|[.)])|[–−]?\d+(\.\d+)?([ %*]|$)|–?$")
"""What a paragraph may begin with: a word (but not `IV.`), a number (but not `1.`), a dash alone."""


class Rst(TableFormat):
    """A `list-table` of reStructuredText with its title as caption, then notes and failures; no heading of its own."""

    ending = "rst"

    def render(self, sheet: Sheet, frame: pd.DataFrame) -> str:
        return render_rst(sheet)


def render_rst(sheet: Sheet) -> str:
    """The directive, the notes as paragraphs, failures as a list; it can be included below any heading.

    Blocks are set apart by a row that holds their title in italics. Without rows the header is the table's one row,
    for docutils wants some below a header.
    """
    lines = []
    for block in sheet.blocks:
        if block.title:
            lines.append(_row([_mark("*", block.title), *[""] * (len(sheet.header) - 1)]))
        lines += [_row(map(_text, row)) for row in block.rows]
    head = [f".. list-table:: {_plain(sheet.title)}".rstrip(), *(["   :header-rows: 1"] if lines else [])]
    table = [*head, "   :widths: auto", "", _row(map(_plain, sheet.header)), *lines]
    parts = ["\n".join(table), *map(_plain, sheet.notes)]
    if sheet.failures:
        parts += ["Failed runs:", "\n".join(f"- {_plain(line)}" for line in sheet.failures)]
    return "\n\n".join(parts) + "\n"


def escape_rst(text: str) -> str:
    r"""Text in one line without inline markup: emphasis, literals, roles, references (``name_``), substitutions.

    Of two colons the second is escaped, so that no paragraph ends in a literal block.
    """
    line = " ".join(show_control(text).split())
    return re.sub(r"[\\`*|]|_(?![^\W_])|(?<=:):", r"\\\g<0>", line)


def _plain(text: str) -> str:
    r"""A paragraph of its own; "\ ", which prints nothing, hides a start that could be a list, a comment or a rule."""
    line = escape_rst(text)
    return line if _HARMLESS.match(line) else f"\\ {line}"


def _mark(mark: str, text: str) -> str:
    """Emphasis, which cannot be empty."""
    line = escape_rst(text)
    return f"{mark}{line}{mark}" if line else ""


def _text(cell: Shown) -> str:
    return _mark("**", cell.text) if cell.bold else _plain(cell.text)


def _row(cells: Iterable[str]) -> str:
    return "\n".join(f"   {'  ' if i else '* '}- {text}".rstrip() for i, text in enumerate(cells))
