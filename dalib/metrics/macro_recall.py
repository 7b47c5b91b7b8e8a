"""Recall, every class weighing the same."""

from __future__ import annotations

import numpy as np

from dalib.core.metric import Metric
from dalib.metrics._macro import macro_scores


class MacroRecall(Metric):
    """mean over the classes c that occur in y of |y = c and answer = c| / |y = c|, in [0, 1]."""

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        return macro_scores(y, answer)[1]
