"""What each row of a suite costs beside what it reaches: trained numbers and seconds, from its records."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dalib.core.errors import DalibError
from dalib.records.record import Record
from dalib.report.caption import describe_data
from dalib.report.scale import Scale, round_numbers, scale_of
from dalib.report.sheet import Block, Sheet, Shown
from dalib.report.source import RecordSource

COLUMNS = (
    "suite", "label", "algorithm", "metric", "last", "trainable", "fit", "fit_low", "fit_high", "relative", "evaluate",
    "total", "n",
)  # fmt: skip


@dataclass(frozen=True)
class Costs:
    """One line per row of the suite, all values of a sweep together.

    rows: `COLUMNS`; `last` is the metric as it is, nan where there is no value
    """

    suite: str
    title: str
    scale: Scale
    baseline: str
    rows: tuple[dict[str, object], ...]
    notes: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """The lines as `COLUMNS`.

        last: mean over successful runs of the row as it stands (no draws of a search) of the metric at the end
        trainable: numbers that training decides (parameters that move, or the solved classifier's), median over runs
        fit, evaluate, total: seconds of a run, medians; fit_low, fit_high: quartiles
        relative: fit over the baseline's
        """
        return round_numbers(pd.DataFrame(list(self.rows), columns=list(COLUMNS)))

    def sheet(self) -> Sheet:
        against = f"× {self.baseline}" if self.baseline else "× fastest"
        header = ("Algorithm", "Last", "Trained numbers", "Fit, s", "Quartiles", against, "Evaluate, s", "Runs")
        tips = {"Trained numbers": "parameters that move, or the solved classifier's"}
        width = max((len(str(row["label"])) for row in self.rows), default=0)
        lines = tuple(_line(row, self.scale) for row in self.rows)
        return Sheet(
            f"{self.suite}.costs", f"{self.title}: costs", header, (Block("", lines),), self.notes, tips=tips,
            label_width=width,
        )  # fmt: skip


def build_costs(source: RecordSource, suite: str, metric: str = "") -> Costs:
    """Medians over the successful runs of every row.

    Raises
        DalibError: an unknown suite or metric, or no successful run
    """
    manifest = source.manifest(suite)
    scale = scale_of(metric or manifest.metric)
    groups: dict[str, list[Record]] = {}
    ends: dict[str, list[float]] = {}
    expected = Counter[str]()
    baseline = ""
    for run in manifest.runs:
        label = run.row or run.label
        baseline = label if run.label == manifest.baseline else baseline
        expected[label] += 1
        if run.key in source and (record := source.get(run.key)).status == "ok":
            groups.setdefault(label, []).append(record)
            ends.setdefault(label, [])
            if not run.draw:
                ends[label].append(record.candidates[-1].metrics.get(scale.metric, math.nan))
    if not groups:
        raise DalibError(f"suite {suite} has no successful run; dalib run makes them")
    fits = {
        label: _quartiles([r.seconds.get("fit", math.nan) for r in records])[1] for label, records in groups.items()
    }
    unit = fits.get(baseline, min((fit for fit in fits.values() if not math.isnan(fit)), default=math.nan))
    lines = tuple(
        {"suite": manifest.name, "label": label, "metric": scale.metric, "n_expected": expected[label]}
        | {"last": float(np.mean(ends[label])) if ends[label] else math.nan, **_measure(records, unit)}
        for label, records in groups.items()
    )
    note = (
        "Medians over successful runs. Seconds: wall clock on the machine that ran them, beside whatever else it did; "
        "compare within the table. Trained numbers: parameters that move, of the backbone too unless it is frozen, or "
        "the numbers of a solved classifier."
    )
    if any(len(records) < expected[label] for label, records in groups.items()):
        note += " Runs as 3/4: others failed or are missing, and Last is the mean of those that are there."
    held = [record for records in groups.values() for record in records]
    notes = (f"{describe_data(manifest, held, scale)} {note}",)
    return Costs(
        manifest.name, manifest.title or manifest.name, scale, baseline if baseline in groups else "", lines, notes
    )


def _measure(records: list[Record], unit: float) -> dict[str, object]:
    low, middle, high = _quartiles([r.seconds.get("fit", math.nan) for r in records])
    return {
        "algorithm": records[0].spec.algorithm,
        "trainable": _quartiles([float(r.counts.get("trainable", math.nan)) for r in records])[1],
        "fit": middle, "fit_low": low, "fit_high": high, "relative": middle / unit if unit > 0 else math.nan,
        "evaluate": _quartiles([r.seconds.get("evaluate", math.nan) for r in records])[1],
        "total": _quartiles([r.seconds.get("total", math.nan) for r in records])[1],
        "n": len(records),
    }  # fmt: skip


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    """(25 %, 50 %, 75 %); nan where no value is known."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return math.nan, math.nan, math.nan
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
    return float(low), float(middle), float(high)


def _line(row: dict[str, object], scale: Scale) -> tuple[Shown, ...]:
    def shown(name: str, form: str = "{:.2f}") -> Shown:
        value = row[name]
        assert isinstance(value, (int, float))
        return Shown("–", dim=True) if math.isnan(value) else Shown(form.format(value))

    last = row["last"]
    assert isinstance(last, float)
    between = f"{shown('fit_low').text} … {shown('fit_high').text}"
    return (
        Shown(str(row["label"]), hint=str(row["algorithm"])),
        Shown("–" if math.isnan(last) else scale.show(last)),
        shown("trainable", "{:,.0f}"),
        shown("fit"),
        Shown(between),
        shown("relative"),
        shown("evaluate"),
        Shown(str(row["n"]) if row["n"] == row["n_expected"] else f"{row['n']}/{row['n_expected']}"),
    )
