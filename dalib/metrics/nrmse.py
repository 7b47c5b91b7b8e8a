"""Root mean squared error in deviations of the labels."""

from __future__ import annotations

import math

import numpy as np

from dalib.core.metric import Metric


class NRMSE(Metric):
    """mean over columns of sqrt(mean (y - answer)^2) / sd(y), >= 0: 1 for the mean of the labels, in any unit.

    Over the columns whose labels differ, sd with divisor n; nan without such a column.
    """

    unit = ""
    higher_is_better = False
    objectives = ("regression",)

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        y = y.astype(float)
        spread, wrong = y.std(0), np.sqrt(((y - answer) ** 2).mean(0))
        differs = (spread > 0) & (np.ptp(y, axis=0) > 0)  # of equal labels rounding leaves a spread
        return float((wrong[differs] / spread[differs]).mean()) if differs.any() else math.nan
