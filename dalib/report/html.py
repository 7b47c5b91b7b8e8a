"""A page on its own: no script, no font, no image from elsewhere."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dalib.report.layout import lay_out
from dalib.report.table import ResultTable


def render_html(table: ResultTable) -> str:
    """Sticky header, bold best, dim incomplete cells, n and seeds as tooltips; light or dark as the reader's system."""
    header, blocks = lay_out(table)
    names = {column.short: column.name.replace("->", " → ") for column in table.columns}
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined,
    )  # fmt: skip
    return environment.get_template("table.html.j2").render(
        title=table.title or table.suite,
        header=[(text, names.get(text, "")) for text in header],
        blocks=blocks,
        notes=[text for text in (table.caption, table.published_note) if text],
        failures=table.failures,
    )
