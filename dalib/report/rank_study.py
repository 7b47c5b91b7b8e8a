"""Transferability measures held against what networks reached: weighted Kendall's tau after probing and fine-tuning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dalib.core.errors import DalibError
from dalib.report.figures import save_figure
from dalib.report.ranking import weighted_tau
from dalib.report.sheet import Block, Sheet, Shown
from dalib.report.source import RecordSource

WAYS = ("probe", "tune")
HEADINGS = {"probe": "after probing", "tune": "after fine-tuning"}


@dataclass(frozen=True)
class Reached:
    """One target. Rows of everything are its M models.

    title: what was run
    scores: (M, S) of the measures, mean over seeds; nan = does not apply
    accuracy: way (`probe`, `tune`) -> (M,) target accuracy in %, mean over seeds; nan = a run is missing or failed
    """

    title: str
    models: tuple[str, ...]
    measures: tuple[str, ...]
    scores: np.ndarray
    accuracy: dict[str, np.ndarray]

    def tau(self, way: str) -> np.ndarray:
        """(S,) weighted Kendall's tau between each measure and the accuracy; nan where it does not apply."""
        return np.array([weighted_tau(column, self.accuracy[way]) for column in self.scores.T])

    def lost(self, way: str) -> np.ndarray:
        """(S,) points between the best model and a measure's first choice; nan unless it scores every model."""
        reached = self.accuracy[way]
        first = [math.nan if np.isnan(c).any() else reached[int(np.argmax(c))] for c in self.scores.T]
        return np.asarray(np.nanmax(reached) - np.array(first))


def read_reached(source: RecordSource, suite: str, scores: pd.DataFrame) -> Reached:
    """A suite whose rows are called `probe MODEL` and `tune MODEL`, and the measures' scores of those models.

    Args
        scores: columns suite, model, seed, measure, score
    Raises
        DalibError: the suite has no such rows, or no score of one of its models
    """
    manifest = source.manifest(suite)
    values: dict[tuple[str, str], list[float]] = {}
    for run in manifest.runs:
        way, _, model = run.label.partition(" ")
        if way in WAYS:
            record = source.get(run.key) if run.key in source else None
            ok = record is not None and record.status == "ok"
            value = 100 * record.candidates[-1].metrics["target_accuracy"] if record and ok else math.nan
            values.setdefault((way, model), []).append(value)
    models = tuple(dict.fromkeys(model for _, model in values))
    if not models:
        raise DalibError(f"suite {suite} has no rows called 'probe MODEL' and 'tune MODEL'")
    own = scores[scores["suite"] == suite]
    table = own.pivot_table(index="model", columns="measure", values="score", aggfunc="mean", dropna=False)
    missing = [model for model in models if model not in table.index]
    if missing:
        raise DalibError(f"suite {suite}: no scores of {', '.join(missing)}; score them again")
    accuracy = {w: np.array([np.mean(values.get((w, m), [math.nan])) for m in models]) for w in WAYS}
    title = (manifest.title or suite).partition(":")[0]
    return Reached(title, models, tuple(map(str, table.columns)), table.loc[list(models)].to_numpy(float), accuracy)


def study_sheets(targets: Sequence[Reached]) -> list[Sheet]:
    """Tau per measure and target, points lost by its first choice, and the accuracies themselves."""
    names = tuple(str(i + 1) for i in range(len(targets)))
    legend = "Targets: " + "; ".join(f"{i} = {t.title}" for i, t in zip(names, targets, strict=True)) + "."
    columns = tuple(f"{i} {HEADINGS[way]}" for way in WAYS for i in names)
    measures = targets[0].measures
    blocks = []
    for value, form, title in (
        ("tau", "+.2f", ""),
        ("lost", ".1f", "Points lost by taking the measure's first choice"),
    ):
        per_target = np.array([[getattr(t, value)(way) for t in targets] for way in WAYS])
        rows = [
            (Shown(name), *(_cell(v, form) for v in per_target[:, :, k].ravel()),
             *(_cell(float(np.mean(per_target[w, :, k])), form) for w in range(len(WAYS))))
            for k, name in enumerate(measures)
        ]  # fmt: skip
        if value == "tau":
            probe = [weighted_tau(t.accuracy["probe"], t.accuracy["tune"]) for t in targets]
            dash = [Shown("–", dim=True)] * len(targets)
            known = (*dash, *(_cell(v, form) for v in probe), Shown("–", dim=True), _cell(float(np.mean(probe)), form))
            rows.append((Shown("(accuracy after probing)"), *known))
        blocks.append(Block(title, tuple(rows)))
    sizes = " and ".join(sorted({str(len(t.models)) for t in targets}))
    note = (
        f"Weighted Kendall's tau over {sizes} networks per target: 1 = same order, -1 = opposite, the top weighs most. "
        "Measures see the labelled half of the target, accuracies are of the other half. n/a: fewer than two networks, "
        "or (points lost) not all, have a score."
    )
    header = ("Measure", *columns, *(f"mean {HEADINGS[way]}" for way in WAYS))
    tau = Sheet("rank_study", "Do the measures foresee accuracy?", header, tuple(blocks), (legend, note))
    rows = [
        (Shown(model), *(_cell(t.accuracy[way][i], ".1f") for way in WAYS for t in targets))
        for i, model in enumerate(targets[0].models)
    ]
    reached = Sheet(
        "reached", "What the networks reached (%)", ("Network", *columns), (Block("", tuple(rows)),), (legend,)
    )
    return [tau, reached]


def study_frame(targets: Sequence[Reached]) -> pd.DataFrame:
    """One number per line: target, way, quantity (`tau`, `lost`, `accuracy`), name (measure or model), value."""
    lines: list[tuple[str, str, str, str, float]] = []
    for t in targets:
        for way in WAYS:
            for quantity, names, values in (
                ("tau", t.measures, t.tau(way)),
                ("lost", t.measures, t.lost(way)),
                ("accuracy", t.models, t.accuracy[way]),
            ):
                lines += [(t.title, way, quantity, n, round(float(v), 4)) for n, v in zip(names, values, strict=True)]
    return pd.DataFrame(lines, columns=["target", "way", "quantity", "name", "value"])


def draw_study(targets: Sequence[Reached], path: Path) -> Path:
    """Tau of every measure, a marker per target, probing above and fine-tuning below (png, pdf or svg)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(WAYS), figsize=(9, 3.4), sharey=True, constrained_layout=True)
    shown = [k for k in range(len(targets[0].measures)) if any(np.isfinite(t.tau(w)[k]) for t in targets for w in WAYS)]
    for axis, way in zip(axes, WAYS, strict=True):
        for marker, target in zip("osD^v<>", targets, strict=False):
            axis.plot(target.tau(way)[shown], range(len(shown)), marker, alpha=0.8, label=target.title)
        axis.axvline(0, color="0.7", linewidth=1)
        axis.set(xlim=(-1.05, 1.05), xlabel=f"weighted tau {HEADINGS[way]}", yticks=range(len(shown)))
        axis.grid(axis="x", alpha=0.3)
    axes[0].set_yticklabels([targets[0].measures[k] for k in shown])
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    save_figure(figure, path)
    plt.close(figure)
    return path


def _cell(value: float, form: str) -> Shown:
    return Shown("n/a", dim=True) if math.isnan(value) else Shown(format(value, form))
