"""Mean absolute error."""

from __future__ import annotations

import numpy as np

from dalib.core.metric import Metric


class MAE(Metric):
    """mean over rows and columns of |y - answer|, >= 0, in the label's own unit."""

    unit = ""
    higher_is_better = False
    objectives = ("regression",)

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        return float(np.abs(y.astype(float) - answer).mean())
