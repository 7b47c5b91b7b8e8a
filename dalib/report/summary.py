"""What a suite says about each method: last, selected and oracle accuracy, regret, intervals, ranks, tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dalib.core.errors import DalibError
from dalib.report.ensembles import Ensembles
from dalib.report.expected import EXPECTED, NOTE, expect_rows
from dalib.report.scale import Scale, round_numbers, scale_of
from dalib.report.select import describe_rule, rules
from dalib.report.sheet import Block, Sheet, Shown
from dalib.report.source import RecordSource
from dalib.report.statistics import (
    Comparison,
    compare,
    draw_critical_difference,
    nemenyi_critical_difference,
    smallest_p,
)
from dalib.report.statistics.scores import Floats
from dalib.report.table import ResultTable, TableRow, build_table

RULES = ("ensemble", "source_accuracy", "last")
"""The rule unless asked otherwise: the first that the records can answer. See docs/validators.md for the order."""
COLUMNS = (
    "suite",
    "label",
    "algorithm",
    "kind",
    "metric",
    "rule",
    "last",
    "selected",
    "oracle",
    "regret",
    "low",
    "high",
    "iqm",
    "difference",
    "difference_low",
    "difference_high",
    "improvement",
    "rank",
    "p",
    "p_holm",
    "smallest_p",
    "negative_transfer",
    "better",
    "n_seeds",
    "n_tasks",
)


@dataclass(frozen=True)
class MethodSummary:
    """One line per complete row of a suite.

    rows: `COLUMNS`; the metric, regret and differences as they are; nan where there is no value
    """

    suite: str
    title: str
    rule: str
    metric: str
    baseline: str
    rows: tuple[dict[str, object], ...]
    notes: tuple[str, ...]

    @property
    def scale(self) -> Scale:
        """Unit and direction of the metric."""
        return scale_of(self.metric)

    def frame(self) -> pd.DataFrame:
        """The lines as `COLUMNS`, fractions as they are.

        last, selected, oracle: mean over tasks and seeds of the metric at the end, at the point chosen by `rule`, and
            at the best point by the metric itself; regret: what the oracle has over the selection, never negative
        low, high, iqm: 95 % interval and interquartile mean of `selected`
        expected…, measured, held, n_expected: where asked for, see `report.expected`
        difference…, improvement, p, p_holm, better, negative_transfer: `selected` against the baseline's
        n_seeds: nan where tasks have other seeds; such a row has no interval and no rank
        """
        return round_numbers(pd.DataFrame(list(self.rows), columns=[*COLUMNS, *(EXPECTED if self.expects else ())]))

    @property
    def expects(self) -> bool:
        """The lines have `EXPECTED` too."""
        return any("expected" in row for row in self.rows)

    def sheet(self) -> Sheet:
        header = ("Algorithm", "Last", "Selected", "95 %", "Oracle", "Regret", "Rank",
                  f"vs {self.baseline or 'baseline'}", "95 %", "P(better)", "p (Holm)", "n")  # fmt: skip
        header = (*header[:-1], *(("Expected", "90 %", "Measured", "Inside") if self.expects else ()), header[-1])
        scale = self.scale
        regret = "oracle minus selected" if scale.higher_is_better else "selected minus oracle"
        tips = {"Selected": f"chosen by {self.rule}", "Regret": regret,
                "P(better)": "how often a run beats a run of the baseline on the same task",
                "n": "seeds × tasks"}  # fmt: skip
        best = scale.best(_number(r["selected"]) for r in self.rows if r["kind"] == "run")
        kinds = {"run": "", "reference": "Uses target labels (reference)"}
        blocks = [
            Block(title, tuple(_line(r, best, scale) for r in self.rows if r["kind"] == kind))
            for kind, title in kinds.items()
        ]
        width = max((len(str(r["label"])) for r in self.rows), default=0)
        return Sheet(
            f"{self.suite}.summary", f"{self.title}: summary", header, tuple(b for b in blocks if b.rows), self.notes,
            tips=tips, label_width=width, breaks=(7,),
        )  # fmt: skip


def build_summary(
    source: RecordSource,
    suite: str,
    rule: str = "",
    metric: str = "",
    ensembles: Ensembles | None = None,
    expected: bool = False,
) -> MethodSummary:
    """Every complete row against the baseline, at the points that `rule` chooses (default: the first of `RULES`).

    Args
        ensembles: as for `build_table`
        expected: with the accuracy that was to be expected without labels beside the one measured

    Raises
        DalibError: an unknown suite, rule or metric
    """
    manifest = source.manifest(suite)
    if not rule:
        known = rules(source.get(key) for key in manifest.keys if key in source)
        rule = next(rule for rule in RULES if rule in known)
    tables = {
        name: build_table(source, suite, name, metric, ensembles=ensembles)
        for name in dict.fromkeys(("last", rule, "oracle"))
    }
    chosen = tables[rule]
    rows = [row for row in (*chosen.rows, *chosen.references) if row.complete]
    scores = {row.label: array for row in rows if (array := row.scores) is not None}
    ranked = {row.label for row in rows if not row.reference}
    compared = {label: array for label, array in scores.items() if label in ranked}
    baseline = chosen.baseline if chosen.baseline in compared else ""
    comparisons: dict[str, Comparison] = {}
    if compared:
        comparisons = compare(compared, baseline, higher_is_better=chosen.scale.higher_is_better)
    lines = tuple(_describe(row, tables, rule, scores.get(row.label), comparisons.get(row.label)) for row in rows)
    notes = _notes(chosen, rule, rows, comparisons, baseline, sum(row.label not in scores for row in rows))
    if expected:
        records = {key: source.get(key) for key in manifest.keys if key in source}
        told = expect_rows(manifest, records, rule, chosen.scale)
        lines = tuple(line | told.get(str(line["label"]), dict.fromkeys(EXPECTED, math.nan)) for line in lines)
        notes = (*notes, NOTE)
    return MethodSummary(
        chosen.suite,
        chosen.title or chosen.suite,
        rule,
        chosen.metric,
        baseline,
        lines,
        notes,
    )


def draw_summary(summary: MethodSummary, path: str | Path) -> Path:
    """The critical-difference diagram of the ranked rows (Nemenyi, 5 %); .png, .pdf or .svg.

    Raises
        DalibError: fewer than two ranked rows, or another suffix
    """
    return draw_critical_difference(*rank_rows(summary), path)


def rank_rows(summary: MethodSummary) -> tuple[dict[str, float], float]:
    """(label -> average rank, Nemenyi's critical difference at 5 %) of the ranked rows.

    Raises
        DalibError: fewer than two ranked rows
    """
    ranks = {str(r["label"]): _number(r["rank"]) for r in summary.rows if not math.isnan(_number(r["rank"]))}
    if len(ranks) < 2:
        raise DalibError(f"suite {summary.suite} has {len(ranks)} ranked rows; a diagram needs two")
    tasks = max(int(_number(r["n_tasks"])) for r in summary.rows)
    return ranks, nemenyi_critical_difference(len(ranks), tasks)


def _describe(
    row: TableRow, tables: dict[str, ResultTable], rule: str, scores: Floats | None, versus: Comparison | None
) -> dict[str, object]:
    means = {}
    for name, table in tables.items():
        same = next(r for r in (*table.rows, *table.references) if r.label == row.label)
        means[name] = same.average.mean if same.complete else math.nan
    line: dict[str, object] = dict.fromkeys(COLUMNS, math.nan)
    line |= {
        "suite": tables[rule].suite, "label": row.label, "algorithm": row.algorithm, "metric": tables[rule].metric,
        "kind": "reference" if row.reference else "run", "rule": rule, "last": means["last"], "selected": means[rule],
        "oracle": means["oracle"], "regret": tables[rule].scale.sign * (means["oracle"] - means[rule]),
        "n_seeds": math.nan if scores is None else scores.shape[0], "n_tasks": len(row.cells),
        "negative_transfer": False, "better": False,
    }  # fmt: skip
    if versus:
        line |= {
            "low": versus.interval.low, "high": versus.interval.high, "iqm": versus.iqm, "rank": versus.rank,
            "difference": versus.difference, "difference_low": versus.difference_interval.low,
            "difference_high": versus.difference_interval.high, "improvement": versus.improvement.probability,
            "p": versus.p, "p_holm": versus.p_holm, "smallest_p": versus.smallest_p,
            "negative_transfer": versus.negative_transfer, "better": versus.better,
        }  # fmt: skip
    return line


def _notes(
    table: ResultTable, rule: str, rows: Sequence[TableRow], comparisons: dict[str, Comparison], baseline: str,
    uneven: int,
) -> tuple[str, ...]:  # fmt: skip
    tasks, scale = len(table.columns), table.scale
    labels = "by target test labels" if scale.metric.startswith("target_") else "by the metric itself"
    regret = "oracle − selected" if scale.higher_is_better else "selected − oracle"
    sides = "above / below" if scale.higher_is_better else "below / above"
    against = (
        f"▲ / ▼: the interval of the difference lies {sides} 0 (▼: negative transfer). "
        f"P(better): how often a run beats a run of {baseline} on the same task. "
        f"p (Holm): exact Wilcoxon test over {tasks} tasks, adjusted for {len(comparisons) - 1} comparisons; "
        f"{tasks} blocks allow no p below {smallest_p(tasks):.2g} before adjustment"
    )
    why = f"{table.baseline} is incomplete or a reference" if table.baseline else "the suite names no baseline"
    text = (
        f"Selected: {describe_rule(rule, scale)}. Oracle: {labels}, an upper bound; regret = {regret}. "
        "95 %: intervals over seeds with the tasks fixed; "
        f"{against if baseline else f'no differences and tests, as {why}'}. n: seeds × tasks."
    )
    left = len(table.rows) + len(table.references) - len(rows)
    more = [f"{left} incomplete rows are left out."] if left else []
    more += (
        [f"Rows of other seeds on some tasks (n: uneven) have no interval, rank or test: {uneven}."] if uneven else []
    )
    return (table.caption, text, *more)


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _line(row: dict[str, object], best: float, scale: Scale) -> tuple[Shown, ...]:
    def number(name: str, form: str = "metric") -> Shown:
        value = _number(row[name])
        if math.isnan(value):
            return Shown("–", dim=True)
        if form == "signed":
            return Shown(scale.show_difference(value))
        return Shown(scale.show(value) if form == "metric" else form.format(value))

    def interval(low: str, high: str, form: str) -> Shown:
        ends = [number(name, form).text for name in (low, high)]
        return Shown("–", dim=True) if "–" in ends else Shown(f"{ends[0]} … {ends[1]}")

    selected = number("selected")
    selected = Shown(selected.text, bold=row["kind"] == "run" and selected.text == scale.show(best))
    mark = " ▼" if row["negative_transfer"] else " ▲" if row["better"] else ""
    difference = number("difference", "signed")
    return (
        Shown(str(row["label"]), hint=str(row["algorithm"])),
        number("last"),
        selected,
        interval("low", "high", "metric"),
        number("oracle"),
        number("regret"),
        number("rank", "{:.1f}"),
        Shown(difference.text + mark, dim=difference.dim),
        interval("difference_low", "difference_high", "signed"),
        number("improvement", "{:.2f}"),
        number("p_holm", "{:.2g}"),
        *_expectation(row),
        Shown(f"{'uneven' if math.isnan(_number(row['n_seeds'])) else row['n_seeds']} × {row['n_tasks']}"),
    )


def _expectation(row: dict[str, object]) -> tuple[Shown, ...]:
    """Expected accuracy, interval, measured and inside, in per cent; nothing where they were not asked for."""
    if "expected" not in row:
        return ()
    value, low, high, true = (_number(row[name]) for name in ("expected", "expected_low", "expected_high", "measured"))
    if math.isnan(value):
        return (Shown("–", dim=True),) * 4
    accuracy = Scale()
    ends = f"{accuracy.show(low)} … {accuracy.show(high)}"
    inside = f"{_number(row['held']):.0f}/{_number(row['n_expected']):.0f}"
    return Shown(accuracy.show(value)), Shown(ends), Shown(accuracy.show(true)), Shown(inside)
