"""A page on its own: no script, no font, no image from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dalib.core.text import show_control
from dalib.report.sheet import Sheet
from dalib.report.table_format import TableFormat


class Html(TableFormat):
    """A page on its own: no script, no font, no image from elsewhere; light or dark."""

    ending = "html"

    def render(self, sheet: Sheet, frame: pd.DataFrame) -> str:
        return render_html(sheet)


def render_html(sheet: Sheet) -> str:
    """Sticky header, bold best, dim incomplete cells, n and seeds as tooltips; light or dark as the reader's system."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined,
        finalize=lambda value: show_control(value) if isinstance(value, str) else value,
    )  # fmt: skip
    return environment.get_template("table.html.j2").render(
        title=sheet.title,
        header=[(text, sheet.tips.get(text, "")) for text in sheet.header],
        blocks=sheet.blocks,
        notes=sheet.notes,
        failures=sheet.failures,
    )
