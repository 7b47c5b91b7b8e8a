"""A table in the format somebody wants, on the screen or in files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from dalib.core.errors import unknown
from dalib.report.html import render_html
from dalib.report.latex import render_latex
from dalib.report.markdown import render_markdown
from dalib.report.published import add_published
from dalib.report.source import RecordSource
from dalib.report.table import ResultTable, build_table
from dalib.report.terminal import render_terminal
from dalib.report.tidy import render_csv

FORMATS: dict[str, Callable[[ResultTable], str]] = {
    "md": render_markdown,
    "latex": render_latex,
    "csv": render_csv,
    "html": render_html,
    "terminal": render_terminal,
}
_ENDINGS = {"md": "md", "csv": "csv", "latex": "tex", "html": "html"}


def render(table: ResultTable, format: str) -> str:
    """The table as `md`, `latex`, `csv`, `html` or `terminal` text; values in percent."""
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    return FORMATS[format](table)


def write_tables(
    source: RecordSource,
    suite: str,
    folder: Path,
    select: str = "last",
    metric: str = "",
    algorithms: Sequence[str] = (),
    published: bool = False,
) -> list[Path]:
    """Writes `<suite>.md|csv|tex|html` (`<suite>.<select>.md|…` for a rule other than `last`); returns the paths.

    Each file is written aside and renamed, so that a reader never sees half of one.
    """
    table = build_table(source, suite, select, metric, algorithms)
    if published:
        table = add_published(table)
    folder.mkdir(parents=True, exist_ok=True)
    stem = suite if select == "last" else f"{suite}.{select}"
    paths = []
    for format, ending in _ENDINGS.items():
        path = folder / f"{stem}.{ending}"
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        aside.write_text(render(table, format), encoding="utf-8")
        aside.replace(path)
        paths.append(path)
    return paths
