"""Recall of the known classes (OS*), every class weighing the same."""

from __future__ import annotations

import numpy as np

from dalib.core.metric import Metric
from dalib.metrics._open import known_recall


class KnownAccuracy(Metric):
    """mean over the known classes c that occur in y of |y = c and answer = c| / |y = c|, in [0, 1]."""

    needs_unknown = True

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        return known_recall(y, answer, known)
