"""Learning curves over target labels: accuracy at every number of them, gains over source-only and target-only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dalib.core.errors import DalibError
from dalib.core.protocol import labels_of
from dalib.records.manifest import Manifest
from dalib.report.caption import describe_data, word_rows
from dalib.report.scale import Scale, round_numbers
from dalib.report.select import describe_rule
from dalib.report.sheet import Block, Sheet, Shown
from dalib.report.source import RecordSource
from dalib.report.statistics import Interval, mean, stratified_bootstrap
from dalib.report.statistics.scores import Floats
from dalib.report.table import ResultTable, TableRow, build_table

COLUMNS = (
    "suite", "strategy", "algorithm", "labels", "sweep", "at", "metric", "rule", "mean", "std", "low", "high",
    "over_source", "over_source_low", "over_source_high", "over_target", "over_target_low", "over_target_high",
    "negative_source", "negative_target", "n_splits", "n_tasks",
)  # fmt: skip
BASELINE = "source_only"
"""Plain cross-entropy: source-only on the source's labels, target-only on the target's."""


@dataclass(frozen=True)
class Curve:
    """One line per strategy and value of the sweep.

    rows: `COLUMNS`; the metric and gains as they are, nan where there is no value
    sweep: `shots` or `fraction`; axis: what its values count, for a plot
    source, target: the strategies that gains refer to, empty where the suite has none
    """

    suite: str
    title: str
    scale: Scale
    sweep: str
    axis: str
    source: str
    target: str
    rows: tuple[dict[str, object], ...]
    notes: tuple[str, ...]

    @property
    def values(self) -> list[float]:
        """Of the sweep, ascending."""
        return sorted({number(row["at"]) for row in self.rows})

    @property
    def strategies(self) -> list[str]:
        """In the suite's order."""
        return list(dict.fromkeys(str(row["strategy"]) for row in self.rows))

    def at(self, strategy: str, value: float) -> dict[str, object]:
        return next(r for r in self.rows if r["strategy"] == strategy and r["at"] == value)

    def frame(self) -> pd.DataFrame:
        """The lines as `COLUMNS`, fractions as they are.

        labels: which are granted: of the source, the target or both; at: labelled images per class, or the part
        mean, std: of the splits' averages over tasks (ddof 1); low, high: 95 % interval of the mean
        over_source…, over_target…: gain and its 95 % interval; negative_…: it lies on the worse side of zero
        """
        return round_numbers(pd.DataFrame(list(self.rows), columns=list(COLUMNS)))

    def sheet(self) -> Sheet:
        sign = "k = {:g}" if self.sweep == "shots" else "{:.0%}"
        header = ("Strategy", "Labels", *(sign.format(value) for value in self.values))
        splits = max(int(number(row["n_splits"])) for row in self.rows)
        spread = f", mean ± std over {splits} splits" if splits > 1 else ", one split"
        blocks = [Block(f"{self.scale.heading}{spread}", self._block(self._value))]
        for kind, name in (("target", self.target), ("source", self.source)):
            if name:
                gains = tuple(line for line in self._block(self._gain, kind) if line[0].text != name)
                blocks.append(Block(f"Gain over {name} in {self.scale.steps}, 95 %", gains))
        if self.source or self.target:
            flagged = tuple(line for line in self._block(self._flag) if any(cell.text != "–" for cell in line[2:]))
            none = (Shown("none"), *[Shown("–", dim=True)] * (len(header) - 1))
            blocks.append(Block(f"Negative transfer: the interval lies {_side(self.scale)} …", flagged or (none,)))
        width = max(len(name) for name in self.strategies)
        return Sheet(
            f"{self.suite}.curve", f"{self.title}: learning curve", header, tuple(blocks), self.notes,
            tips={"Labels": "the domains whose labels a strategy is given"}, label_width=width,
        )  # fmt: skip

    def _block(self, cell: object, *arguments: str) -> tuple[tuple[Shown, ...], ...]:
        assert callable(cell)
        lines = []
        for name in self.strategies:
            points = [self.at(name, value) for value in self.values]
            head = Shown(name, hint=str(points[0]["algorithm"])), Shown(str(points[0]["labels"]))
            lines.append((*head, *(cell(row, *arguments) for row in points)))
        return tuple(lines)

    def _value(self, row: dict[str, object]) -> Shown:
        value, std = number(row["mean"]), number(row["std"])
        if math.isnan(value):
            return Shown("–", dim=True, hint="incomplete")
        show = self.scale.show
        best = self.scale.best(number(r["mean"]) for r in self.rows if r["at"] == row["at"])
        spread = "" if math.isnan(std) else f" ± {show(std, like=value)}"
        return Shown(show(value) + spread, bold=show(value) == show(best))

    def _gain(self, row: dict[str, object], kind: str) -> Shown:
        value, *ends = (number(row[f"over_{kind}{end}"]) for end in ("", "_low", "_high"))
        if math.isnan(value):
            return Shown("–", dim=True)
        interval = Interval(ends[0], ends[1])
        mark = " ▼" if interval.is_worse(self.scale.sign) else " ▲" if interval.is_better(self.scale.sign) else ""
        text, *shown = map(self.scale.show_difference, (value, *ends))
        return Shown((text if math.isnan(ends[0]) else f"{text} [{shown[0]}, {shown[1]}]") + mark)

    def _flag(self, row: dict[str, object]) -> Shown:
        below = [getattr(self, kind) for kind in ("target", "source") if row[f"negative_{kind}"]]
        return Shown(" and ".join(below) or "–", dim=not below)


def number(value: object) -> float:
    return float(value) if isinstance(value, (int, float, np.floating)) else math.nan


def _side(scale: Scale) -> str:
    return "below" if scale.higher_is_better else "above"


def build_curve(source: RecordSource, suite: str, rule: str = "", metric: str = "") -> Curve:
    """Every strategy of a suite with a `[sweep]`; a row that is not swept counts at every value.

    Raises
        DalibError: an unknown suite, rule or metric, or a suite without a sweep
    """
    manifest = source.manifest(suite)
    if not manifest.sweep:
        raise DalibError(f"suite {suite} sweeps nothing, so there is no curve; add [sweep] with shots = [1, 3, 5, 10]")
    rule = rule or "last"
    table = build_table(source, suite, rule, metric)
    rows = {row.label: row for row in (*table.rows, *table.references)}
    values = sorted({cell.at for cell in manifest.runs if cell.row})
    grid = _grid(manifest, rows, values)
    first = {name: next(iter(points.values())) for name, points in grid.items()}
    baselines = {labels: _baseline(manifest, first, labels) for labels in ("source", "target")}
    scores = {(name, at): row.scores for name, points in grid.items() for at, row in points.items()}
    lines = [
        _describe(table, name, row, at, scores, baselines) | {"sweep": manifest.sweep}
        for name, points in grid.items()
        for at, row in points.items()
    ]
    notes = _notes(source, manifest, table, baselines, scores)
    count = "labelled target images per class" if manifest.sweep == "shots" else "labelled part of the target in %"
    return Curve(
        manifest.name, manifest.title or manifest.name, table.scale, manifest.sweep,
        word_rows(count, manifest.dataset), baselines["source"], baselines["target"], tuple(lines), notes,
    )  # fmt: skip


def _grid(manifest: Manifest, rows: dict[str, TableRow], values: Sequence[float]) -> dict[str, dict[float, TableRow]]:
    """strategy -> value -> row; a row that is not swept stands at every value."""
    grid: dict[str, dict[float, TableRow]] = {}
    for cell in manifest.runs:
        points = grid.setdefault(cell.row or cell.label, {})
        for value in [cell.at] if cell.row else values:
            points[value] = rows[cell.label]
    return {name: {value: points[value] for value in values if value in points} for name, points in grid.items()}


def _baseline(manifest: Manifest, first: dict[str, TableRow], labels: str) -> str:
    """The suite's baseline where it is given these labels, else the first row of `BASELINE` that is, else none."""
    named = next((cell.row or cell.label for cell in manifest.runs if cell.label == manifest.baseline), "")
    if named and labels_of(first[named].protocol) == labels:
        return named
    plain = (name for name, row in first.items() if row.algorithm == BASELINE and labels_of(row.protocol) == labels)
    return next(plain, "")


def join_targets(scores: Floats, tasks: Sequence[str]) -> Floats:
    """(splits, tasks) -> (splits, targets) with the same mean: tasks of one target share its labelled rows, and chance.

    Taken as independent they would make intervals of few-label runs too narrow.
    """
    targets = [task.partition("->")[2] for task in tasks]
    names = list(dict.fromkeys(targets))
    share = np.array([[target == name for name in names] for target in targets]) * len(names) / len(tasks)
    return np.asarray(scores @ share)


def _describe(
    table: ResultTable, name: str, row: TableRow, at: float, scores: dict[tuple[str, float], Floats | None],
    baselines: dict[str, str],
) -> dict[str, object]:  # fmt: skip
    own = scores[name, at]
    line: dict[str, object] = dict.fromkeys(COLUMNS, math.nan)
    line |= {
        "suite": table.suite, "strategy": name, "algorithm": row.algorithm, "labels": labels_of(row.protocol), "at": at,
        "metric": table.metric, "rule": table.select, "negative_source": False, "negative_target": False,
        "n_splits": 0 if own is None else len(own), "n_tasks": len(row.cells),
    }  # fmt: skip
    if own is None:
        return line
    tasks = list(row.cells)
    interval = stratified_bootstrap(join_targets(own, tasks), mean)
    line |= {"mean": row.average.mean, "std": row.average.std, "low": interval.low, "high": interval.high}
    for kind, baseline in baselines.items():
        other = scores.get((baseline, at))
        if other is None or baseline == name or other.shape != own.shape:
            continue
        gain = stratified_bootstrap(join_targets(own - other, tasks), mean)
        line |= {
            f"over_{kind}": float((own - other).mean()), f"over_{kind}_low": gain.low, f"over_{kind}_high": gain.high,
            f"negative_{kind}": gain.is_worse(table.scale.sign),
        }  # fmt: skip
    return line


def _notes(
    source: RecordSource, manifest: Manifest, table: ResultTable, baselines: dict[str, str],
    scores: dict[tuple[str, float], Floats | None],
) -> tuple[str, ...]:  # fmt: skip
    held = [source.get(key) for key in manifest.keys if key in source]
    few = manifest.sweep == "shots"
    meaning = (
        "k: labelled target images per class; at each k all strategies of the sweep are tested on the same other images"
        if few
        else "Columns: the labelled part of the target; rows of other protocols are tested on images of their own"
    )
    text = (
        f"{describe_data(manifest, held, table.scale)} {word_rows(meaning, manifest.dataset)}. Labels: the domains "
        f"whose labels a strategy is given. Selection, {describe_rule(table.select, table.scale)}. Mean ± standard "
        "deviation (n − 1) over splits of the averages over the tasks "
        f"{', '.join(column.name.replace('->', ' → ') for column in table.columns)}."
    )
    sides = "above / below" if table.scale.higher_is_better else "below / above"
    gains = (
        "Gains are over the same splits and tasks; intervals: stratified bootstrap, splits drawn again within each "
        "target, tasks fixed, each on its own, so one comparison of equals in forty is marked ▼ by chance. ▲ / ▼: the "
        f"interval lies {sides} 0."
    )
    missing = sum(array is None for array in scores.values())
    left = [f"{missing} incomplete points are left out."] if missing else []
    return (text, *([gains] if any(baselines.values()) else []), *left)
