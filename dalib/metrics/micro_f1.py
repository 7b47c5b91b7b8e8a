"""F1 over all yes/no answers at once."""

from __future__ import annotations

import math

import numpy as np

from dalib.core.metric import Metric


class MicroF1(Metric):
    """2 |y = 1 and answer = 1| / (|y = 1| + |answer = 1|) over all annotated entries, in [0, 1].

    0 where nothing is there and nothing is answered.
    """

    objectives = ("multilabel",)

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        annotated = y >= 0
        if not annotated.any():
            return math.nan
        there, answered = y[annotated] > 0, answer[annotated] > 0
        return float(2 * (there & answered).sum() / max(there.sum() + answered.sum(), 1))
