"""F1, every class weighing the same."""

from __future__ import annotations

import math

import numpy as np

from dalib.core.metric import Metric
from dalib.metrics._macro import macro_scores


class MacroF1(Metric):
    """mean over classes of 2 |y = c and answer = c| / (|y = c| + |answer = c|), in [0, 1].

    One class per row: over the classes that occur in y. Several answers per row: over the columns with an annotated
    row, each over its annotated rows; 0 for a column where nothing is there and nothing is answered.
    """

    objectives = ("classification", "multilabel")

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        if y.ndim == 1:
            return macro_scores(y, answer)[2]
        annotated = y >= 0
        there, answered = annotated & (y > 0), annotated & (answer > 0)
        f1 = 2 * (there & answered).sum(0) / np.maximum(there.sum(0) + answered.sum(0), 1)
        columns = annotated.any(0)
        return float(f1[columns].mean()) if columns.any() else math.nan
