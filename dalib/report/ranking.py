"""Pretrained models ranked by transferability measures, and how far the measures agree."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata, weightedtau

from dalib.report.formats.csv import disarm_frame
from dalib.report.formats.md import render_markdown
from dalib.report.formats.terminal import render_terminal
from dalib.report.sheet import Block, Sheet, Shown


@dataclass(frozen=True)
class Ranking:
    """Higher scores are better; nan = the measure does not apply to the model.

    title: what was scored
    models, measures: names of the M rows and the S columns
    widths: of the models' features
    scores: (M, S)
    notes: sentences for below the table
    """

    title: str
    models: tuple[str, ...]
    measures: tuple[str, ...]
    widths: tuple[int, ...]
    scores: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def ranks(self) -> np.ndarray:
        """(M, S): 1 = best, ties share the mean rank; per measure, among the models it applies to."""
        return np.asarray(rankdata(-self.scores, axis=0, nan_policy="omit"))

    @property
    def complete(self) -> np.ndarray:
        """(S,) measures that apply to every model."""
        return np.asarray(~np.isnan(self.scores).any(0))

    @property
    def mean_rank(self) -> np.ndarray:
        """(M,) over the measures that apply to every model; nan if there is none."""
        kept = self.ranks[:, self.complete]
        return np.asarray(kept.mean(1) if kept.shape[1] else np.full(len(self.models), math.nan))

    def agreement(self) -> np.ndarray:
        """(S, S): weighted Kendall's tau of each pair of measures over the models that both apply to.

        1 = the same order, -1 = the opposite one; disagreements about the best models weigh most (SciPy's hyperbolic
        weights). nan with fewer than two models, or where a measure ties them all.
        """
        return np.array([[weighted_tau(a, b) for b in self.scores.T] for a in self.scores.T])

    def sheets(self) -> list[Sheet]:
        """The table of models, best mean rank first, and, of two or more measures and models, that of agreements."""
        comparable = min(len(self.models), len(self.measures)) > 1
        return [self._models(), self._agreement()] if comparable else [self._models()]

    def _models(self) -> Sheet:
        mean = self.mean_rank
        rows = tuple(self._row(i, mean[i]) for i in np.argsort(mean, kind="stable"))
        notes = ["Score (rank): higher is better, 1 = best. Scores of different measures have different units."]
        left_out = [name for name, kept in zip(self.measures, self.complete, strict=True) if not kept]
        if left_out:
            notes.append(f"Not in the mean rank, since n/a for some models: {', '.join(left_out)}.")
        header = ("Backbone", "width", *self.measures, "mean rank")
        return Sheet("ranking", self.title, header, (Block("", rows),), (*notes, *self.notes))

    def _row(self, i: int, mean: float) -> tuple[Shown, ...]:
        cells = [
            Shown("n/a", dim=True) if math.isnan(score) else Shown(f"{score:.3f} ({rank:g})", bold=bool(rank == 1))
            for score, rank in zip(self.scores[i], self.ranks[i], strict=True)
        ]
        last = Shown("–" if math.isnan(mean) else f"{mean:.2f}")
        return Shown(self.models[i]), Shown(str(self.widths[i])), *cells, last

    def _agreement(self) -> Sheet:
        n, tau = len(self.models), self.agreement()
        kept = [k for k in range(len(self.measures)) if not math.isnan(tau[k, k])]
        rows = [
            (Shown(self.measures[a]), *(Shown("–" if math.isnan(tau[a, b]) else f"{tau[a, b]:.2f}") for b in kept))
            for a in kept
        ]
        note = f"Weighted Kendall's tau over {n} models: 1 = same order, -1 = opposite; the top weighs most."
        if n < 5:
            note += f" With {n} models it says little."
        header = ("", *(self.measures[k] for k in kept))
        return Sheet("agreement", "Agreement between measures", header, (Block("", tuple(rows)),), (note,))

    def frame(self) -> pd.DataFrame:
        """Every number, one per line: table (`score`, `rank`, `mean_rank`, `agreement`), row, column, value."""
        lines: list[tuple[str, str, str, float]] = []
        for table, names, values in (
            ("score", self.models, self.scores),
            ("rank", self.models, self.ranks),
            ("agreement", self.measures, self.agreement()),
        ):
            lines += [
                (table, a, b, v)
                for a, line in zip(names, values, strict=True)
                for b, v in zip(self.measures, line, strict=True)
            ]
        lines += [("mean_rank", a, "", v) for a, v in zip(self.models, self.mean_rank, strict=True)]
        return pd.DataFrame(lines, columns=["table", "row", "column", "value"])


def weighted_tau(a: np.ndarray, b: np.ndarray) -> float:
    """Over the entries that both have (not nan), as in `Ranking.agreement`; nan where fewer than two values differ."""
    scored = ~np.isnan(a) & ~np.isnan(b)
    if len(set(a[scored])) < 2 or len(set(b[scored])) < 2:
        return math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(weightedtau(a[scored], b[scored]).statistic)


def render_ranking(ranking: Ranking, format: str, width: int = 160) -> str:
    """`terminal`, `md` or `csv`."""
    if format == "csv":
        return disarm_frame(ranking.frame()).to_csv(index=False)
    if format == "md":
        return "\n".join(render_markdown(sheet) for sheet in ranking.sheets())
    return "\n".join(render_terminal(sheet, width) for sheet in ranking.sheets())
