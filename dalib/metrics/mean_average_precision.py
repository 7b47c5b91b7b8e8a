"""How well each yes/no answer is ranked, every column weighing the same."""

from __future__ import annotations

import math

import numpy as np

from dalib.core.metric import Metric


class MeanAveragePrecision(Metric):
    """mean over columns of AP = sum_k (R_k - R_(k-1)) P_k along the rows by falling prediction, in [0, 1].

    Over the columns with an annotated 1, each over its annotated rows; nan without such a column.
    """

    objectives = ("multilabel",)

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        from sklearn.metrics import average_precision_score

        columns = [k for k in range(y.shape[1]) if (y[:, k] > 0).any()]
        rows = y >= 0
        every = [average_precision_score(y[rows[:, k], k] > 0, prediction[rows[:, k], k]) for k in columns]
        return float(np.mean(every)) if every else math.nan
