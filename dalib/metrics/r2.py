"""Part of the labels' variance that the answers explain."""

from __future__ import annotations

import math

import numpy as np

from dalib.core.metric import Metric


class R2(Metric):
    """mean over columns of 1 - sum (y - answer)^2 / sum (y - mean y)^2, <= 1; nan for fewer than two rows.

    A column whose labels are all equal counts 1 where every answer is right, else 0.
    """

    unit = ""
    objectives = ("regression",)

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        if len(y) < 2:
            return math.nan
        wrong = ((y.astype(float) - answer) ** 2).sum(0)
        spread = ((y - y.astype(float).mean(0)) ** 2).sum(0)
        differs = (spread > 0) & (np.ptp(y, axis=0) > 0)  # of equal labels rounding leaves a spread
        explained = 1 - wrong / np.where(differs, spread, 1)
        return float(np.where(differs, explained, wrong == 0).mean())
