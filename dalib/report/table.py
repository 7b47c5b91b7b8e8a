"""From records to numbers: mean, spread, rank and completeness of every row and task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from dalib.core.errors import DalibError, unknown
from dalib.core.protocol import uses_target_labels
from dalib.core.registry import DEFAULT_PROTOCOL
from dalib.records.formulas import describe_stale
from dalib.records.manifest import Manifest
from dalib.records.record import Record
from dalib.records.spec import BackboneSpec
from dalib.report.caption import write_caption
from dalib.report.ensembles import Ensembles, check_ensembles, describe_ensembles, mix_rows
from dalib.report.points import Runs, choose_point, group_runs
from dalib.report.scale import Scale, scale_of
from dalib.report.select import ENSEMBLE, check_rule, rules
from dalib.report.source import RecordSource


@dataclass(frozen=True)
class Column:
    """A task: `name` = `amazon->webcam`, `short` = `A→W` where no two domains share an initial."""

    name: str
    short: str

    @property
    def source(self) -> str:
        return self.name.partition("->")[0]

    @property
    def target(self) -> str:
        return self.name.partition("->")[2]


@dataclass(frozen=True)
class TableCell:
    """One row on one task. values: seed -> metric as it is; unavailable: ok runs on which the rule has no answer."""

    values: dict[int, float]
    n_expected: int
    n_failed: int = 0
    n_missing: int = 0
    n_unavailable: int = 0

    @property
    def n_ok(self) -> int:
        return len(self.values)

    @property
    def complete(self) -> bool:
        return self.n_expected > 0 and self.n_ok == self.n_expected

    @property
    def mean(self) -> float:
        """nan without a value."""
        return float(np.mean(list(self.values.values()))) if self.values else math.nan

    @property
    def std(self) -> float:
        """Over seeds, ddof 1; nan for fewer than two."""
        return float(np.std(list(self.values.values()), ddof=1)) if self.n_ok > 1 else math.nan


@dataclass(frozen=True)
class TableRow:
    """One label of the suite. reference: it was given target labels, so it is neither ranked nor bold.

    rank: average rank over the tasks among the complete rows, 1 = best in the metric's direction
    gain: average minus the baseline's
    backbone: of the row's runs
    """

    label: str
    algorithm: str
    protocol: str
    cells: dict[str, TableCell]
    rank: float = math.nan
    gain: float = math.nan
    backbone: BackboneSpec = field(default_factory=BackboneSpec)

    @property
    def reference(self) -> bool:
        return uses_target_labels(self.protocol)

    @property
    def complete(self) -> bool:
        return all(cell.complete for cell in self.cells.values())

    @property
    def competes(self) -> bool:
        return self.complete and not self.reference

    @cached_property
    def average(self) -> TableCell:
        """Over tasks. A complete row: one value per seed. Otherwise the mean of the cells that have one, no spread."""
        cells = list(self.cells.values())
        counted = {name: sum(getattr(c, name) for c in cells) for name in ("n_failed", "n_missing", "n_unavailable")}
        if self.complete and len({frozenset(cell.values) for cell in cells}) == 1:
            values = {seed: float(np.mean([cell.values[seed] for cell in cells])) for seed in cells[0].values}
            return TableCell(values, n_expected=len(values))
        means = [cell.mean for cell in cells if cell.n_ok]
        only = {0: float(np.mean(means))} if means else {}
        return TableCell(only, n_expected=1, **counted)

    @property
    def scores(self) -> np.ndarray | None:
        """(seeds, tasks); None unless the row is complete and every task has the same seeds."""
        cells = list(self.cells.values())
        seeds = sorted(cells[0].values)
        if not self.complete or any(sorted(cell.values) != seeds for cell in cells):
            return None
        return np.array([[cell.values[seed] for cell in cells] for seed in seeds])

    @property
    def n_ok(self) -> int:
        return sum(cell.n_ok for cell in self.cells.values())

    @property
    def n_expected(self) -> int:
        return sum(cell.n_expected for cell in self.cells.values())


@dataclass(frozen=True)
class ResultTable:
    """Everything that a rendering needs. rows: competing rows, then references; failures: one line each."""

    suite: str
    title: str
    dataset: str
    select: str
    metric: str
    baseline: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    references: tuple[TableRow, ...]
    caption: str
    failures: tuple[str, ...] = ()
    partial: bool = False
    backbones: tuple[str, ...] = ()
    published: pd.DataFrame | None = field(default=None, compare=False)
    published_note: str = ""

    @property
    def scale(self) -> Scale:
        """Unit and direction of the metric."""
        return scale_of(self.metric)


def build_table(
    source: RecordSource,
    suite: str,
    select: str = "last",
    metric: str = "",
    algorithms: Sequence[str] = (),
    ensembles: Ensembles | None = None,
) -> ResultTable:
    """The suite's table.

    Args
        select: `last`, `oracle` (the best by `metric`) or a validator's name
        metric: a key of `Candidate.metrics`; the suite's own unless given
        algorithms: labels or algorithm names to keep, in suite order; all by default. The difference to the baseline
            is shown whether or not the baseline is kept; ranks are among the rows shown
        ensembles: further rows, the mean of the probabilities of some of the suite's; of a store only; they are shown
            whatever rows are kept
    Raises DalibError for a rule, metric, label or suite that the source does not hold.
    """
    manifest = source.manifest(suite)
    metric = metric or manifest.metric
    records = {run.key: _without_details(source.get(run.key)) for run in manifest.runs if run.key in source}
    _check(records, select, metric)
    scale = scale_of(metric)
    columns = short_columns(list(dict.fromkeys(run.task for run in manifest.runs)))
    every = _rows(manifest, records, columns, select, scale)
    if ensembles:
        check_ensembles(source, manifest, ensembles)
        mixed = mix_rows(source, manifest, records, ensembles, select, scale)
        every += [
            _mixed(name, values, [r for r in every if r.label in ensembles[name]]) for name, values in mixed.items()
        ]
    baseline = next((row for row in every if row.label == manifest.baseline), None)
    shown = _keep(every, [*algorithms, *(ensembles or ())] if algorithms else ())
    ranks = _ranks([row for row in shown if row.competes], scale)
    shown = [replace(r, rank=ranks.get(r.label, math.nan), gain=_gain(r, baseline)) for r in shown]
    labels = {row.label for row in shown}
    kept = [run for run in manifest.runs if run.label in labels]
    held = [records[run.key] for run in kept if run.key in records]
    caption = write_caption(manifest, held, len(kept), select, scale, baseline.label if baseline else "")
    scored = ENSEMBLE if select == "ensemble" else () if select in ("last", "oracle") else (select,)
    caption = " ".join(filter(None, (caption, describe_stale(held, scored, metric))))
    added = {name: members for name, members in (ensembles or {}).items() if name in labels}
    return ResultTable(
        suite=manifest.name,
        title=manifest.title,
        dataset=manifest.dataset,
        select=select,
        metric=metric,
        baseline=baseline.label if baseline else "",
        columns=columns,
        rows=tuple(row for row in shown if not row.reference),
        references=tuple(row for row in shown if row.reference),
        caption=f"{caption} {describe_ensembles(added, select)}" if added else caption,
        failures=tuple(
            f"{run.label}, {run.task}, seed {run.seed}: {error.type}: {error.message}"
            for run in kept
            if run.key in records and (error := records[run.key].error)
        ),
        partial=manifest.partial or any(record.spec.data.partial for record in held),
        backbones=tuple(sorted({record.spec.backbone.name for record in held})),
    )


def _without_details(record: Record) -> Record:
    """What a table never reads is left out, for it holds every record of a suite at once."""
    return record.model_copy(update={"curve": {}, "per_class": {}, "per_output": {}})


def short_columns(tasks: Sequence[str]) -> tuple[Column, ...]:
    """`amazon->webcam` becomes `A→W`, unless two domains begin alike: then every name stays long."""
    domains = {domain for task in tasks for side in task.split("->") for domain in side.split("+")}
    clear = len({domain[:1].upper() for domain in domains}) == len(domains)

    def shorten(side: str) -> str:
        return "+".join(domain[:1].upper() for domain in side.split("+")) if clear else side

    return tuple(Column(task, "→".join(map(shorten, task.split("->")))) for task in tasks)


def _check(records: dict[str, Record], rule: str, metric: str) -> None:
    good = [record for record in records.values() if record.status == "ok"]
    if not good:
        if rule not in ("last", "oracle"):
            nothing = f"no run has succeeded, so there is nothing to select by '{rule}'"
            raise DalibError(f"{nothing}; use --select last (select='last')")
        return
    check_rule(rule, rules(good))
    metrics = {name for record in good for candidate in record.candidates for name in candidate.metrics}
    if metric not in metrics:
        raise unknown("metric", metric, metrics)


def _rows(
    manifest: Manifest, records: dict[str, Record], columns: Sequence[Column], rule: str, scale: Scale
) -> list[TableRow]:
    known = rules(records.values())
    rows = []
    for label, tasks in group_runs(manifest, records).items():
        spec = next((r.spec for runs in tasks.values() for draws in runs.values() for r in draws if r), None)
        cells = {task: _cell(runs, rule, scale, known) for task, runs in tasks.items()}
        algorithm, protocol = (spec.algorithm, spec.protocol.name) if spec else (label, DEFAULT_PROTOCOL)
        backbone = spec.backbone if spec else BackboneSpec()
        rows.append(TableRow(label, algorithm, protocol, cells, backbone=backbone))
    return rows


def _mixed(name: str, values: Mapping[str, Mapping[int, float | str]], members: Sequence[TableRow]) -> TableRow:
    """The row of an ensemble; its backbone is that of its members, or all of them."""
    first, *others = members
    backbone = first.backbone
    if any(row.backbone != backbone for row in others):
        names = " + ".join(dict.fromkeys(row.backbone.name for row in members))
        seen = tuple(dict.fromkeys(data for row in members for data in row.backbone.seen))
        backbone = BackboneSpec(name=names, pretraining=seen)
    cells = {task: make_cell(found) for task, found in values.items()}
    algorithm = f"mean of {' and '.join(row.label for row in members)}"
    return TableRow(name, algorithm, first.protocol, cells, backbone=backbone)


def _cell(runs: Runs, rule: str, scale: Scale, known: tuple[str, ...]) -> TableCell:
    points = {seed: choose_point(draws, rule, scale, known) for seed, draws in runs.items()}
    values = {
        s: p if isinstance(p, str) else p.candidate.metrics.get(scale.metric, math.nan) for s, p in points.items()
    }
    return make_cell(values)


def make_cell(values: Mapping[int, float | str]) -> TableCell:
    """seed -> value, or why there is none: `missing`, `failed`, `unavailable`, which nan is too."""
    told = {s: v for s, v in values.items() if not isinstance(v, str) and not math.isnan(v)}
    failed, missing = (sum(v == why for v in values.values()) for why in ("failed", "missing"))
    return TableCell(told, len(values), failed, missing, len(values) - len(told) - failed - missing)


def _keep(rows: list[TableRow], wanted: Sequence[str]) -> list[TableRow]:
    for name in wanted:
        if not any(name in (row.label, row.algorithm) for row in rows):
            raise unknown("row", name, {row.label for row in rows})
    return [row for row in rows if not wanted or row.label in wanted or row.algorithm in wanted]


def _ranks(rows: list[TableRow], scale: Scale) -> dict[str, float]:
    """label -> rank averaged over tasks; equal means share the mean of their ranks."""
    if not rows:
        return {}
    means = np.array([[cell.mean for cell in row.cells.values()] for row in rows]).round(10)
    ranks = rankdata(-scale.sign * means, axis=0).mean(axis=1)
    return {row.label: float(rank) for row, rank in zip(rows, ranks, strict=True)}


def _gain(row: TableRow, baseline: TableRow | None) -> float:
    if baseline is None or row.label == baseline.label or not (row.complete and baseline.complete):
        return math.nan
    return row.average.mean - baseline.average.mean
