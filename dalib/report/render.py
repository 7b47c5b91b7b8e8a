"""A report in the format somebody wants, as text or in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dalib.core.errors import DalibError
from dalib.core.files import write_text
from dalib.core.registry import FORMATS
from dalib.report.costs import Costs
from dalib.report.curve import Curve
from dalib.report.layout import make_sheet
from dalib.report.published import add_published
from dalib.report.sheet import Sheet
from dalib.report.source import RecordSource
from dalib.report.summary import MethodSummary
from dalib.report.table import ResultTable, build_table
from dalib.report.tidy import tidy
from dalib.report.validators import ValidatorStudy

Report = ResultTable | MethodSummary | ValidatorStudy | Curve | Costs


def render(report: Report, format: str) -> str:
    """Any report as text of a registered format (`dalib list formats`); numbers as shown, in the CSV as they are.

    Raises
        DalibError: no such format
    """
    return FORMATS.get(format)().render(as_sheet(report), as_frame(report))


def as_sheet(report: Report) -> Sheet:
    """What is shown, cell by cell."""
    return make_sheet(report) if isinstance(report, ResultTable) else report.sheet()


def as_frame(report: Report) -> pd.DataFrame:
    """The numbers behind it."""
    return tidy(report) if isinstance(report, ResultTable) else report.frame()


def endings(formats: Sequence[str] = ()) -> dict[str, str]:
    """Format -> ending of its files, of those given (`all`: every one) or else of those that are written by default.

    Raises
        DalibError: no such format, or one without files
    """
    if tuple(formats) == ("all",):
        return {name: FORMATS.get(name).ending for name in FORMATS.names() if FORMATS.get(name).ending}
    classes = {name: FORMATS.get(name) for name in formats or FORMATS.names()}
    if not formats:
        return {name: cls.ending for name, cls in classes.items() if cls.by_default}
    for name, cls in classes.items():
        if not cls.ending:
            raise DalibError(f"format {name} is for the screen and has no files; choose another (dalib list formats)")
    return {name: cls.ending for name, cls in classes.items()}


def write_tables(
    source: RecordSource,
    suite: str,
    folder: Path,
    select: str = "last",
    metric: str = "",
    algorithms: Sequence[str] = (),
    published: bool = False,
    formats: Sequence[str] = (),
) -> list[Path]:
    """Writes `<suite>.<ending>` (`<suite>.<select>.<ending>` for a rule other than `last`); returns the paths.

    Args
        formats: names; those that are written by default unless given
        others: as `build_table` and `add_published` take them
    """
    table = build_table(source, suite, select, metric, algorithms)
    stem = suite if select == "last" else f"{suite}.{select}"
    return write_report(add_published(table) if published else table, folder, stem, formats)


def write_report(report: Report, folder: Path, stem: str, formats: Sequence[str] = ()) -> list[Path]:
    """A report as `<stem>.<ending>` in every format given, or else in those written by default; returns the paths."""
    wanted, sheet, frame = endings(formats), as_sheet(report), as_frame(report)
    paths = []
    for name, ending in wanted.items():
        path = folder / f"{stem}.{ending}"
        write_text(path, FORMATS.get(name)().render(sheet, frame))
        paths.append(path)
    return paths
