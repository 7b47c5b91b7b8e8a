"""Which validator selects well: accuracy of what it selects, regret and rank correlation, on the records of a suite."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from dalib.core.errors import DalibError, unknown
from dalib.core.protocol import uses_target_labels
from dalib.records.formulas import describe_stale
from dalib.records.record import Candidate, Record
from dalib.report.figures import names_as_they_are, save_figure
from dalib.report.scale import Scale, round_numbers, scale_of
from dalib.report.select import ENSEMBLE, is_collapsed, pick, score
from dalib.report.sheet import Block, Sheet, Shown
from dalib.report.source import RecordSource
from dalib.report.statistics import Interval, mean_interval

Points = list[tuple[int, Candidate]]
COLUMNS = (
    "suite",
    "rule",
    "accuracy",
    "low",
    "high",
    "regret",
    "correlation",
    "across_accuracy",
    "across_regret",
    "across_correlation",
    "unguarded_accuracy",
    "collapsed",
)


@dataclass(frozen=True)
class ValidatorStudy:
    """One line per selection rule, best first, between `last` and the oracle.

    rows: `COLUMNS`; `accuracy` and regrets are of the metric as it is, shares in [0, 1], correlations in [-1, 1]
    """

    suite: str
    title: str
    scale: Scale
    rows: tuple[dict[str, float | str], ...]
    notes: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """accuracy, low, high, regret, correlation: choosing hyper-parameters and point for a given method

        (mean over methods, tasks and seeds; 95 % interval over seeds; regret to the oracle; Spearman's rho between
        score and target accuracy). across_…: choosing the method as well. unguarded_accuracy, collapsed: `accuracy`
        without the diversity guard, and the share of collapsed models among its choices.
        """
        return round_numbers(pd.DataFrame(list(self.rows), columns=list(COLUMNS)))

    def sheet(self) -> Sheet:
        name = self.scale.heading
        header = (
            "Selected by",
            name,
            "95 %",
            "Regret",
            "ρ",
            "Method too",
            "Regret ",
            "ρ ",
            "No guard",
            "Collapsed",
        )
        tips = {
            name: "hyper-parameters and point chosen, method given",
            "Method too": "hyper-parameters, point and method chosen",
            "ρ": f"Spearman between score and {self._metric}",
            "No guard": f"{name} without the diversity guard",
            "Collapsed": "collapsed models among the choices without the guard",
        }
        rows = tuple(_line(row, self.scale) for row in self.rows)
        return Sheet(
            f"{self.suite}.validators", f"{self.title}: validators", header, (Block("", rows),), self.notes, tips=tips,
            breaks=(5,),
        )  # fmt: skip

    @property
    def _metric(self) -> str:
        return self.scale.metric.replace("_", " ")


def build_study(source: RecordSource, suite: str, metric: str = "") -> ValidatorStudy:
    """Every rule on every candidate of the suite's runs without target labels.

    A row, task and seed whose run as it stands (the first draw of a search) failed is left out: it has no `last`.

    Raises
        DalibError: an unknown suite or metric, or no successful run
    """
    manifest = source.manifest(suite)
    scale = scale_of(metric or manifest.metric)
    within: dict[tuple[int, str, str], Points] = {}
    measured, looked_at = set[str](), list[Record]()
    for run in sorted(manifest.runs, key=lambda run: run.draw):
        record = source.get(run.key) if run.key in source else None
        if not record or record.status != "ok" or uses_target_labels(record.spec.protocol.name):
            continue
        if len(record.candidates) > 1:
            measured |= {name for c in record.candidates for name in c.metrics}
            points = within.setdefault((run.seed, run.task, run.label), [])
            points += [(run.draw, c) for c in record.candidates if scale.metric in c.metrics]
            looked_at.append(record.model_copy(update={"candidates": [], "curve": {}, "per_class": {}}))
    if not within:
        raise DalibError(f"suite {suite} has no successful run with several candidates; dalib run makes them")
    within = {place: points for place, points in within.items() if points and points[0][0] == 0}
    if scale.metric not in measured:
        raise unknown("metric", scale.metric, measured)
    seeds = sorted({seed for seed, _, _ in within})
    blocks = [(t, label) for s, t, label in within if s == seeds[0] and all((x, t, label) in within for x in seeds)]
    if not blocks:
        raise DalibError(f"suite {suite} has no row whose runs as they stand are there for every seed; dalib run does")
    across: dict[tuple[int, str, str], Points] = {}
    for (seed, task, label), points in within.items():
        if (task, label) in blocks:
            across.setdefault((seed, task, ""), []).extend(points)
    every_rule = rules_of(within)
    lines = [_describe(manifest.name, rule, seeds, blocks, within, across, scale) for rule in every_rule]
    ordered = sorted(
        lines, key=lambda r: (r["rule"] != "oracle", r["rule"] == "last", -scale.sign * float(r["accuracy"]))
    )
    tasks, methods = len({t for t, _ in blocks}), len({m for _, m in blocks})
    sizes = sorted({(len(points), len({n for n, _ in points})) for points in within.values()})
    counts = [f"{size} candidates each (points × settings: {size // draws} × {draws})" for size, draws in sizes]
    each = counts[0] if len(counts) == 1 else f"{sizes[0][0]} to {sizes[-1][0]} candidates each"
    collapsed = sum(is_collapsed(c) for points in within.values() for _, c in points)
    words = scale.metric.replace("_", " ") + ("" if scale.higher_is_better else ", lower being better")
    note = (
        f"Seeds: {len(seeds)}, tasks: {tasks}, methods: {methods}; {each}. {scale.heading}: mean over methods, "
        "tasks and seeds of what the rule selects; 95 %: over seeds, tasks and methods fixed; regret: to the best "
        f"candidate by target test labels; ρ: Spearman's rank correlation between score and {words}. Only the oracle "
        f"reads target labels. Diversity guard: {collapsed} of {sum(map(len, within.values()))} candidates had "
        "collapsed (predictions spread over an effective half of the classes or less) and came last."
    )
    stale = describe_stale(looked_at, {name for name in every_rule if name not in ("last", "oracle")}, scale.metric)
    notes = (note, stale) if stale else (note,)
    return ValidatorStudy(manifest.name, manifest.title or manifest.name, scale, tuple(ordered), notes)


def rules_of(within: dict[tuple[int, str, str], Points]) -> list[str]:
    """The rules that every candidate can answer, and `last`."""
    known = [set(c.scores) for points in within.values() for _, c in points]
    shared = set.intersection(*known) - {"oracle"}
    return ["last", "oracle", *sorted(shared | ({"ensemble"} if shared.issuperset(ENSEMBLE) else set()))]


@names_as_they_are()
def draw_study(study: ValidatorStudy, path: str | Path) -> Path:
    """Accuracy of what each rule selects with its interval, `last` and the oracle as lines; .png, .pdf or .svg."""
    from matplotlib.figure import Figure

    path = Path(path)
    factor = study.scale.factor
    ends = {str(r["rule"]): factor * float(r["accuracy"]) for r in study.rows if r["rule"] in ("last", "oracle")}
    rows = [r for r in study.rows if r["rule"] not in ends]
    figure = Figure(figsize=(6.4, 0.6 + 0.24 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for y, row in enumerate(reversed(rows)):
        low, high, at = (factor * float(row[k]) for k in ("low", "high", "accuracy"))
        axes.plot((low, high), (y, y), color="#4c6a92", linewidth=1.4)
        axes.plot(at, y, "o", color="#1f3a5f", markersize=4.5)
        free = factor * float(row["unguarded_accuracy"])
        if abs(free - at) > 5e-5 * factor:
            axes.plot(free, y, "x", color="#b3261e", markersize=4.5)
    for name, at in ends.items():
        axes.axvline(at, color="#888888", linewidth=0.9, linestyle="--" if name == "last" else ":")
        axes.text(at, len(rows) - 0.3, f" {name}", fontsize=8, color="#555555", ha="left", va="bottom")
    axes.set_yticks(range(len(rows)), [str(r["rule"]) for r in reversed(rows)], fontsize=8)
    axes.set_ylim(-0.7, len(rows) + 0.3)
    unit = f" in {study.scale.unit}" if study.scale.unit else ""
    words = study.scale.metric.replace("_", " ")
    axes.set_xlabel(f"{words} of the selected model{unit} (×: without the diversity guard)", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    return save_figure(figure, path)


def _describe(
    suite: str, rule: str, seeds: list[int], blocks: list[tuple[str, str]],
    within: dict[tuple[int, str, str], Points], across: dict[tuple[int, str, str], Points], scale: Scale,
) -> dict[str, float | str]:  # fmt: skip
    tasks = [(task, "") for task in dict.fromkeys(task for task, _ in blocks)]
    chosen, wide = _choose(rule, seeds, blocks, within, scale), _choose(rule, seeds, tasks, across, scale)
    best, top = _best(seeds, blocks, within, scale), _best(seeds, tasks, across, scale)
    free = _choose(rule, seeds, blocks, within, scale, guard=False)
    interval = mean_interval(chosen.accuracy) if len(seeds) > 1 else Interval(math.nan, math.nan)
    last = rule == "last"
    return {
        "suite": suite,
        "rule": rule,
        "accuracy": float(chosen.accuracy.mean()),
        "low": interval.low,
        "high": interval.high,
        "regret": scale.sign * float((best - chosen.accuracy).mean()),
        "correlation": math.nan if last else _mean_known(chosen.correlation),
        "across_accuracy": math.nan if last else float(wide.accuracy.mean()),
        "across_regret": math.nan if last else scale.sign * float((top - wide.accuracy).mean()),
        "across_correlation": math.nan if last else _mean_known(wide.correlation),
        "unguarded_accuracy": float(free.accuracy.mean()),
        "collapsed": float(free.collapsed.mean()),
    }


@dataclass(frozen=True)
class _Choice:
    """Arrays (seeds, blocks)."""

    accuracy: np.ndarray
    correlation: np.ndarray
    collapsed: np.ndarray


def _choose(
    rule: str, seeds: list[int], blocks: list[tuple[str, str]], groups: dict[tuple[int, str, str], Points],
    scale: Scale, guard: bool = True,
) -> _Choice:  # fmt: skip
    shape = (len(seeds), len(blocks))
    choice = _Choice(np.full(shape, math.nan), np.full(shape, math.nan), np.zeros(shape))
    for i, seed in enumerate(seeds):
        for j, (task, label) in enumerate(blocks):
            points = groups[seed, task, label]
            if rule == "last":
                candidate = max((c for n, c in points if n == 0), key=lambda c: c.step)
            else:
                candidate = pick(points, rule, guard, scale) or points[-1][1]
            choice.accuracy[i, j] = candidate.metrics[scale.metric]
            choice.collapsed[i, j] = is_collapsed(candidate)
    if rule != "last" and guard:
        choice.correlation[:] = [_correlate([groups[seed, t, m] for t, m in blocks], rule, scale) for seed in seeds]
    return choice


def _best(
    seeds: list[int], blocks: list[tuple[str, str]], groups: dict[tuple[int, str, str], Points], scale: Scale
) -> np.ndarray:
    """(seeds, blocks): the best value of the metric."""
    return np.array(
        [[scale.best(c.metrics[scale.metric] for _, c in groups[seed, t, m]) for t, m in blocks] for seed in seeds]
    )


def _mean_known(values: np.ndarray) -> float:
    """nan where none is known."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _correlate(groups: list[Points], rule: str, scale: Scale) -> list[float]:
    """Spearman's rho of score and metric per group, positive where they agree on what is better.

    nan where either is constant or fewer than three have a score.
    """
    pairs = [
        np.array([score(points, rule, scale), [scale.sign * c.metrics[scale.metric] for _, c in points]])
        for points in groups
    ]
    known = [pair[:, ~np.isnan(pair[0])] for pair in pairs]
    rho = [math.nan] * len(known)
    for length in {pair.shape[1] for pair in known} - {0, 1, 2}:
        places = [i for i, pair in enumerate(known) if pair.shape[1] == length]
        ranks = rankdata(np.stack([known[i] for i in places]), axis=2)
        ranks -= ranks.mean(2, keepdims=True)
        sizes = np.sqrt((ranks**2).sum(2).prod(1))
        for i, product, size in zip(places, (ranks[:, 0] * ranks[:, 1]).sum(1), sizes, strict=True):
            rho[i] = float(product / size) if size else math.nan
    return rho


def _line(row: dict[str, float | str], scale: Scale) -> tuple[Shown, ...]:
    def number(name: str, form: str = "") -> Shown:
        value = float(row[name])
        if math.isnan(value):
            return Shown("–", dim=True)
        return Shown(form.format(value).replace("-", "−") if form else scale.show(value))

    interval = f"{number('low').text} … {number('high').text}"
    return (
        Shown(str(row["rule"])),
        number("accuracy"),
        Shown("–" if math.isnan(float(row["low"])) else interval),
        number("regret"),
        number("correlation", "{:.2f}"),
        number("across_accuracy"),
        number("across_regret"),
        number("across_correlation", "{:.2f}"),
        number("unguarded_accuracy"),
        Shown(Scale().show(float(row["collapsed"]))),
    )
