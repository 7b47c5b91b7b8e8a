"""Root mean squared error."""

from __future__ import annotations

import numpy as np

from dalib.core.metric import Metric


class RMSE(Metric):
    """mean over columns of sqrt(mean over rows of (y - answer)^2), >= 0, in the label's own unit."""

    unit = ""
    higher_is_better = False
    objectives = ("regression",)

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        return float(np.sqrt(((y.astype(float) - answer) ** 2).mean(0)).mean())
