"""The table at the end of a run."""

from __future__ import annotations

import io

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dalib.report.layout import lay_out
from dalib.report.table import ResultTable


def rich_table(table: ResultTable) -> Group:
    """For `console.print`: the table, its caption, and every failed run in red."""
    header, blocks = lay_out(table)
    grid = Table(title=Text(table.title or table.suite, style="bold"), title_justify="left", header_style="bold")
    labels = max([len(row.label) for row in (*table.rows, *table.references)], default=0)
    for i, text in enumerate(header):
        grid.add_column(Text(text), justify="right" if i else "left", min_width=0 if i else labels)
    for block in blocks:
        grid.add_section()
        if block.title:
            grid.add_row(Text(block.title, style="italic dim"))
        for row in block.rows:
            grid.add_row(*(Text(c.text, style="bold green" if c.bold else "dim" if c.dim else "") for c in row))
    notes = [Padding(Text(text, style="dim"), (0, 1)) for text in (table.caption, table.published_note) if text]
    failed = [Padding(Text(f"failed: {line}", style="red"), (0, 1)) for line in table.failures]
    return Group(grid, *notes, *failed)


def render_terminal(table: ResultTable, width: int = 160) -> str:
    """The same as plain text, `width` characters wide."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(rich_table(table))
    return capture.get()
