"""`dalib.table`: what a suite's records say, as a table of results or as one of the studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dalib.bench.suite import Suite, find_suite_name
from dalib.core.errors import DalibError, unknown
from dalib.records.archive import Archive
from dalib.records.store import Store
from dalib.report.costs import build_costs
from dalib.report.curve import Curve, build_curve
from dalib.report.curve_plot import draw_curve
from dalib.report.published import add_published
from dalib.report.render import Report
from dalib.report.source import RecordSource
from dalib.report.summary import MethodSummary, build_summary, draw_summary
from dalib.report.table import build_table
from dalib.report.validators import ValidatorStudy, build_study, draw_study

STUDIES: dict[str, Callable[[RecordSource, str, str, str], Report]] = {
    "summary": build_summary,
    "validators": lambda source, name, select, metric: build_study(source, name, metric),
    "curve": build_curve,
    "costs": lambda source, name, select, metric: build_costs(source, name, metric),
}
"""What can be made of records beside the table of results."""


def table(
    suite: Suite | str | Path,
    study: str = "",
    *,
    select: str = "",
    metric: str = "",
    only: Sequence[str] = (),
    published: bool = False,
    store: str | Path = "results/runs",
    records: RecordSource | str | Path | None = None,
) -> Report:
    """A suite's results: mean ± std over seeds, averages, ranks, and what is missing; or a study of them.

    Args
        suite: its file, its name, or the suite itself
        study: `summary` (a line per method: last, selected, oracle, regret, intervals, tests), `validators` (a line per
            validator), `curve` (a line per strategy over the sweep), `costs`; empty = the table
        select: which point of a run counts: `last`, `oracle` or a validator's name; empty = last
        metric: `target_accuracy`, `target_macro_f1` …; empty = the suite's
        only: labels of the rows to show; none = all
        published: with published numbers below ours
        store: folder of the records
        records: a file that `dalib export` wrote, or records that are open, instead of a store

    Returns
        a report: `frame()` of a study has its numbers, `dalib.report.render.render(report, "md")` its text

    Raises
        DalibError: an unknown suite, study, row, metric or rule
    """
    source, name = open_records(suite, store, records)
    if not study:
        report = build_table(source, name, select or "last", metric, only)
        return add_published(report) if published else report
    if study not in STUDIES:
        raise unknown("study", study, STUDIES)
    if only or published:
        raise DalibError(f"the study '{study}' looks at all rows of the suite; leave out only and published")
    return STUDIES[study](source, name, select, metric)


def open_records(
    suite: Suite | str | Path,
    store: str | Path = "results/runs",
    records: RecordSource | str | Path | None = None,
) -> tuple[RecordSource, str]:
    """(where the records are, name of the suite)."""
    name = suite.name if isinstance(suite, Suite) else find_suite_name(str(suite))
    if isinstance(records, (str, Path)):
        return Archive(Path(records)), name
    return records if records is not None else Store(Path(store)), name


def draw_report(report: Report, path: str | Path) -> Path:
    """A summary, a curve or a study of validators as a figure: png, pdf or svg.

    Raises
        DalibError: a report without a figure
    """
    if isinstance(report, MethodSummary):
        return draw_summary(report, path)
    if isinstance(report, ValidatorStudy):
        return draw_study(report, path)
    if isinstance(report, Curve):
        return draw_curve(report, path)
    raise DalibError("only a summary, a curve and a study of validators can be drawn; choose one of these")
