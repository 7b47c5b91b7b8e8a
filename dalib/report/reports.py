"""`dalib.table`: what a suite's records say, as a table of results or as one of the studies."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from dalib.bench.suite import Suite, open_known
from dalib.core.errors import DalibError, unknown
from dalib.records.archive import Archive
from dalib.records.merged import SHOWN, Merged
from dalib.records.store import Store
from dalib.report.costs import build_costs
from dalib.report.curve import Curve, build_curve
from dalib.report.curve_plot import draw_curve
from dalib.report.ensembles import Ensembles
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
NO_SELECTION = {"validators": "compares every rule", "costs": "is of whole runs, accuracies at their ends"}
"""Studies that one rule of selection means nothing to, and why."""


def table(
    suite: Suite | str | Path | Sequence[str | Path],
    study: str = "",
    *,
    select: str = "",
    metric: str = "",
    only: Sequence[str] = (),
    published: bool = False,
    ensembles: Ensembles | None = None,
    expected: bool = False,
    store: str | Path = "results/runs",
    records: RecordSource | str | Path | None = None,
) -> Report:
    """A suite's results: mean ± std over seeds, averages, ranks, and what is missing; or a study of them.

    Args
        suite: its file, its name, the suite itself, or files that `dalib export` wrote, of one or several people: runs
            are joined by key, rows of other settings told apart, and what differs is warned of
        study: `summary` (a line per method: last, selected, oracle, regret, intervals, tests), `validators` (a line per
            validator), `curve` (a line per strategy over the sweep), `costs`; empty = the table
        select: which point of a run counts: `last`, `oracle` or a validator's name; empty = last
        metric: `target_accuracy`, `target_macro_f1` …; empty = the suite's
        only: labels of the rows to show; none = all
        published: with published numbers below ours
        ensembles: rows computed afterwards, `{"both": ["dann", "mcc"]}`: the mean of the probabilities of these rows,
            for every task and seed, from the outputs that a store keeps; of the table and the summary
        expected: in the summary, the accuracy expected without target labels beside the one measured
        store: folder of the records
        records: a file that `dalib export` wrote, or records that are open, instead of a store

    Returns
        a report: `frame()` of a study has its numbers, `dalib.report.render.render(report, "md")` its text

    Raises
        DalibError: an unknown suite, study, row, metric or rule
    """
    source, name = open_records(suite, store, records, metric)
    if expected and study != "summary":
        raise DalibError("expected accuracies are columns of the summary: --summary --expected (study='summary')")
    if not study:
        report = build_table(source, name, select or "last", metric, only, ensembles)
        return add_published(report) if published else report
    if study not in STUDIES:
        raise unknown("study", study, STUDIES)
    if only or published:
        raise DalibError(f"the study '{study}' looks at all rows of the suite; leave out only and published")
    if select and study in NO_SELECTION:
        raise DalibError(
            f"the study '{study}' {NO_SELECTION[study]}; leave out --select (select={select!r}), or take --summary "
            "(study='summary')"
        )
    if ensembles and study != "summary":
        raise DalibError(f"the study '{study}' knows no ensembles; they are rows of the table and of the summary")
    if study == "summary":
        return build_summary(source, name, select, metric, ensembles, expected)
    return STUDIES[study](source, name, select, metric)


def open_records(
    suite: Suite | str | Path | Sequence[str | Path],
    store: str | Path = "results/runs",
    records: RecordSource | str | Path | None = None,
    metric: str = "",
) -> tuple[RecordSource, str]:
    """(where the records are, name of the suite).

    Raises
        DalibError: several suites that are no archives, or archives that do not belong together
    """
    if not isinstance(suite, (Suite, str, Path)):
        if len(suite) != 1 or is_archive(suite[0]):
            return _open_archives(suite, records, metric)
        suite = suite[0]
    if not isinstance(suite, Suite) and is_archive(suite):
        return _open_archives([suite], records, metric)
    known = suite if isinstance(suite, Suite) else open_known(str(suite))
    name = known.name if known else str(suite)
    if isinstance(records, (str, Path)):
        return Archive(Path(records)), name
    if records is not None:
        return records, name
    kept = Store(Path(store))
    if known:
        _warn_of_changes(known, kept)
    return kept, name


def _warn_of_changes(suite: Suite, kept: Store) -> None:
    """A warning where a suite's text is not the one that its runs were listed from, whose records are shown."""
    with contextlib.suppress(DalibError):  # who asks for them says what is wrong
        listed = kept.manifest(suite.name).sha256
        if listed and listed != suite.sha256:
            warnings.warn(
                f"suite {suite.name} is not what it was when dalib run (run_suite) listed its runs, which are shown: "
                "its file has changed, or settings were given beside it; dalib run --dry-run says what is missing",
                UserWarning,
                stacklevel=4,
            )


def is_archive(path: str | Path) -> bool:
    """Named as files are that `dalib export` writes."""
    return str(path).endswith((".jsonl", ".jsonl.gz"))


def _open_archives(
    paths: Sequence[str | Path], records: RecordSource | str | Path | None, metric: str
) -> tuple[RecordSource, str]:
    if not isinstance(records, (str, Path)) and records is not None:
        return records, records.manifest("").name
    others = [str(path) for path in paths if not is_archive(path)]
    if others or not paths:
        raise DalibError(
            f"one table of several suites is made of their archives, and {others[0] if others else 'nothing'} is none; "
            "write them with dalib export SUITE --out FILE.jsonl"
        )
    if records is not None:
        raise DalibError(f"{paths[0]} holds its records; leave --records (records=…) {records} out")
    merged = Merged(paths, metric)
    for conflict in merged.conflicts[:SHOWN]:
        warnings.warn(f"other numbers under one key: {conflict}", UserWarning, stacklevel=3)
    if len(merged.conflicts) > SHOWN:
        more = len(merged.conflicts) - SHOWN
        warnings.warn(f"other numbers under one key: {more} more runs", UserWarning, stacklevel=3)
    return merged, merged.manifest().name


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
