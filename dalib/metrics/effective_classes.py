"""Over how many of the classes the answers spread, as a part of all."""

from __future__ import annotations

import numpy as np

from dalib.core.metric import Metric


class EffectiveClasses(Metric):
    """exp(entropy of the histogram of answers) / outputs, in [0, 1]; reads no label.

    1 when all classes are answered equally often, 1 / K when one takes everything.
    """

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        share = np.unique(answer, return_counts=True)[1] / len(answer)
        return float(np.exp(-(share * np.log(share)).sum())) / prediction.shape[1]
