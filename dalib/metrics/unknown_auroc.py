"""How well doubt tells unknown classes from known ones."""

from __future__ import annotations

import math

import numpy as np

from dalib.core.metric import Metric


class UnknownAUROC(Metric):
    """Area under the ROC curve of unknown against known rows, in [0, 1]; nan unless there are both.

    Doubt is the probability of the output for unknown classes, or 1 - max p without one.
    """

    needs_unknown = True

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        from scipy.special import softmax
        from sklearn.metrics import roc_auc_score

        foreign = y == known
        if not foreign.any() or foreign.all():
            return math.nan
        p = softmax(prediction.astype(float), axis=1)
        return float(roc_auc_score(foreign, p[:, known] if p.shape[1] > known else 1 - p.max(1)))
