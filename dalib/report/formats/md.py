"""GitHub tables, aligned in the source."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from dalib.core.text import show_control
from dalib.report.sheet import Sheet, Shown
from dalib.report.table_format import TableFormat


class Markdown(TableFormat):
    """A section: heading, table aligned in the source, caption, failures."""

    ending = "md"
    by_default = True

    def render(self, sheet: Sheet, frame: pd.DataFrame) -> str:
        return render_markdown(sheet)


def render_markdown(sheet: Sheet) -> str:
    """A section: heading, table, caption, failures. Blocks are set apart by a row that holds their title in italics."""
    header = sheet.header
    lines: list[list[str]] = []
    for block in sheet.blocks:
        if block.title:
            lines.append([f"*{escape(block.title)}*", *[""] * (len(header) - 1)])
        lines += [[_text(cell) for cell in row] for row in block.rows]
    parts = [f"## {escape(sheet.title)}", markdown_grid([escape(h) for h in header], lines)]
    parts += [escape(text) for text in sheet.notes]
    if sheet.failures:
        parts.append("Failed runs:\n\n" + "\n".join(f"- {escape(line)}" for line in sheet.failures))
    return "\n\n".join(parts) + "\n"


def markdown_grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right; every column as wide as its widest text."""
    widths = [max(3, *(len(row[i]) for row in [header, *rows])) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return f"| {' | '.join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)])} |"

    rule = f"| {' | '.join(['-' * widths[0], *('-' * (width - 1) + ':' for width in widths[1:])])} |"
    return "\n".join([line(header), rule, *map(line, rows)])


def escape(text: str) -> str:
    """Characters that GitHub would read as marks; of brackets those that would make a link."""
    return " ".join(re.sub(r"[\\`*|<]|\](?=[(\[:])|(?<!\w)_|_(?!\w)", r"\\\g<0>", show_control(text)).split())


def _text(cell: Shown) -> str:
    text = escape(cell.text)
    return f"**{text}**" if cell.bold else text
