"""How methods compare over the tasks and seeds of a suite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dalib.core.errors import DalibError
from dalib.core.text import show_control
from dalib.report.axes import COLOURS, DIM, open_axes, tidy_axes
from dalib.report.figures import names_as_they_are
from dalib.report.render import Report
from dalib.report.statistics import nemenyi_critical_difference
from dalib.report.statistics.diagram import plot_critical_difference
from dalib.report.summary import MethodSummary, rank_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@names_as_they_are()
def intervals(summary: Report, axes: Axes | None = None, *, differences: bool = False) -> Axes:
    """Every method's mean and 95 % interval over seeds, best on top; rows that use target labels are hollow.

    Args
        summary: of `dalib.table(suite, "summary")`
        differences: to the baseline, which stands as a line at 0, instead of the values

    Raises
        DalibError: another report, or nothing in it to draw
    """
    told = _need_summary(summary)
    scale, rows = told.scale, told.frame()
    at, low, high = ("difference", "difference_low", "difference_high") if differences else ("selected", "low", "high")
    rows = rows[rows[at].notna()].sort_values(at, ascending=scale.higher_is_better, kind="stable")
    if rows.empty:
        raise DalibError(
            f"suite {told.suite} has no complete rows{' beside a baseline' if differences else ''} to draw"
        )
    axes = tidy_axes(open_axes(axes, (5.2, 0.7 + 0.2 * len(rows))), grid="x")
    for y, row in enumerate(rows.to_dict("records")):
        colour = COLOURS[0] if not differences else DIM
        colour = COLOURS[2] if differences and row["better"] else colour
        colour = COLOURS[1] if differences and row["negative_transfer"] else colour
        ends = [scale.factor * float(row[name]) for name in (low, high)]
        if not any(map(math.isnan, ends)):
            axes.plot(ends, (y, y), color=colour, linewidth=1.4, solid_capstyle="butt")
        fill = colour if row["kind"] == "run" else "white"
        axes.plot(scale.factor * float(row[at]), y, "o", color=colour, markerfacecolor=fill, markersize=4.5)
    axes.set_yticks(range(len(rows)), [show_control(str(label)) for label in rows["label"]], fontsize=8)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    if differences:
        axes.axvline(0, color=DIM, linewidth=0.9)
        what = f"difference to {show_control(told.baseline)} in {scale.steps}"
    else:
        what = scale.name[0].lower() + scale.name[1:]
    axes.set_xlabel(f"{what}, {told.rule}; 95 % over seeds", fontsize=8)
    return axes


@names_as_they_are()
def critical_difference(
    ranks: Report | Mapping[str, float], axes: Axes | None = None, *, tasks: int = 0, cd: float = math.nan
) -> Axes:
    """Average ranks on a line; a bar joins methods that Nemenyi's test at 5 % does not tell apart.

    Args
        ranks: a summary (`dalib.table(suite, "summary")`), or method -> average rank with `tasks` or `cd`
        tasks: that the ranks are averages over
        cd: critical difference in ranks, instead

    Raises
        DalibError: fewer than two methods, or ranks without `tasks` and `cd`
    """
    if isinstance(ranks, Mapping):
        if math.isnan(cd) and tasks < 1:
            raise DalibError("average ranks alone give no critical difference; say over how many tasks (tasks=6)")
        cd = nemenyi_critical_difference(len(ranks), tasks) if math.isnan(cd) else cd
        return plot_critical_difference(ranks, cd, axes)
    own, difference = rank_rows(_need_summary(ranks))
    return plot_critical_difference(own, difference if math.isnan(cd) else cd, axes)


def _need_summary(report: Report) -> MethodSummary:
    if not isinstance(report, MethodSummary):
        kind = type(report).__name__
        raise DalibError(f"a {kind} has no intervals and ranks; give the summary: dalib.table(suite, 'summary')")
    return report
