"""The table at the end of a run."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pandas as pd
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dalib.core.text import show_control
from dalib.report.sheet import Block, Sheet
from dalib.report.table_format import TableFormat


class Terminal(TableFormat):
    """Plain text with drawn lines, 160 characters wide; several tables where columns do not fit."""

    def render(self, sheet: Sheet, frame: pd.DataFrame) -> str:
        return render_terminal(sheet)


LONGEST_NAME = 28
"""Characters of the first column; longer names of published rows are wrapped."""


def rich_table(sheet: Sheet, width: int = 160) -> Group:
    """For `console.print`: the table, its notes, and every failed run in red.

    Where `width` characters do not hold all columns, several tables with the same rows follow each other.
    """
    widths = widths_on(sheet)
    grids = [_grid(sheet.header, sheet.blocks, widths, part) for part in split_columns(widths, width)]
    grids[0].title = Text(show_control(sheet.title), style="bold")
    notes = [Padding(Text(show_control(text), style="dim"), (0, 1)) for text in sheet.notes]
    failed = [Padding(Text(show_control(f"failed: {line}"), style="red"), (0, 1)) for line in sheet.failures]
    return Group(*grids, *notes, *failed)


def widths_on(sheet: Sheet) -> list[int]:
    """Width of every column: its longest cell or its heading; names of rows may be wrapped."""
    lines = [list(sheet.header), *([cell.text for cell in row] for block in sheet.blocks for row in block.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths[0] = min(widths[0], max(sheet.label_width, LONGEST_NAME))
    return widths


def split_columns(widths: Sequence[int], room: int) -> list[list[int]]:
    """Column numbers of each part, the first column in all of them; a part is at most `room` wide with its borders."""
    parts: list[list[int]] = [[0]]
    for i in range(1, len(widths)):
        if len(parts[-1]) > 1 and sum(widths[k] + 3 for k in (*parts[-1], i)) + 1 > room:
            parts.append([0])
        parts[-1].append(i)
    return parts


def _grid(header: Sequence[str], blocks: Sequence[Block], widths: Sequence[int], part: Sequence[int]) -> Table:
    grid = Table(title_justify="left", header_style="bold")
    for i in part:
        grid.add_column(Text(show_control(header[i])), justify="right" if i else "left", min_width=widths[i])
    for block in blocks:
        grid.add_section()
        if block.title:
            grid.add_row(Text(show_control(block.title), style="italic dim"))
        for row in block.rows:
            cells = [row[i] for i in part]
            grid.add_row(
                *(Text(show_control(c.text), style="bold green" if c.bold else "dim" if c.dim else "") for c in cells)
            )
    return grid


def render_terminal(sheet: Sheet, width: int = 160) -> str:
    """The same as plain text, `width` characters wide."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(rich_table(sheet, width))
    return capture.get()
