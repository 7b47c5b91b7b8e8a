"""Part of the rows of no known class that are called unknown."""

from __future__ import annotations

import numpy as np

from dalib.core.metric import Metric
from dalib.metrics._open import unknown_recall


class UnknownAccuracy(Metric):
    """|y = unknown and answer = unknown| / |y = unknown|, in [0, 1]."""

    needs_unknown = True

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        return unknown_recall(y, answer, known)
