"""Part of the rows that are answered rightly."""

from __future__ import annotations

import numpy as np

from dalib.core.metric import Metric


class Accuracy(Metric):
    """mean(answer == y), in [0, 1]."""

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        return float((y == answer).mean())
