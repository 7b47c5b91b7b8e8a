"""A table in the format somebody wants, on the screen or in files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dalib.core.errors import unknown
from dalib.core.files import write_text
from dalib.report.costs import Costs
from dalib.report.curve import Curve
from dalib.report.html import render_html
from dalib.report.latex import render_latex
from dalib.report.layout import Sheet, make_sheet
from dalib.report.markdown import render_markdown
from dalib.report.published import add_published
from dalib.report.source import RecordSource
from dalib.report.summary import Summary
from dalib.report.table import ResultTable, build_table
from dalib.report.terminal import render_terminal
from dalib.report.tidy import render_csv
from dalib.report.validators import ValidatorStudy

Report = ResultTable | Summary | ValidatorStudy | Curve | Costs
FORMATS: dict[str, Callable[[Sheet], str]] = {
    "md": render_markdown,
    "latex": render_latex,
    "html": render_html,
    "terminal": render_terminal,
}
_ENDINGS = {"md": "md", "csv": "csv", "latex": "tex", "html": "html"}


def render(report: Report, format: str) -> str:
    """Any report as `md`, `latex`, `csv`, `html` or `terminal` text; in percent, except in the CSV of studies."""
    if format == "csv":
        return render_csv(report) if isinstance(report, ResultTable) else report.frame().to_csv(index=False)
    if format not in FORMATS:
        raise unknown("format", format, [*FORMATS, "csv"])
    return FORMATS[format](as_sheet(report))


def as_sheet(report: Report) -> Sheet:
    """What every format but CSV renders."""
    return make_sheet(report) if isinstance(report, ResultTable) else report.sheet()


def write_tables(
    source: RecordSource,
    suite: str,
    folder: Path,
    select: str = "last",
    metric: str = "",
    algorithms: Sequence[str] = (),
    published: bool = False,
) -> list[Path]:
    """Writes `<suite>.md|csv|tex|html` (`<suite>.<select>.md|…` for a rule other than `last`); returns the paths."""
    table = build_table(source, suite, select, metric, algorithms)
    return write_report(
        add_published(table) if published else table, folder, suite if select == "last" else f"{suite}.{select}"
    )


def write_report(report: Report, folder: Path, stem: str) -> list[Path]:
    """Every format of a report as `<stem>.md|csv|tex|html`; returns the paths."""
    paths = []
    for format, ending in _ENDINGS.items():
        path = folder / f"{stem}.{ending}"
        write_text(path, render(report, format))
        paths.append(path)
    return paths
