"""Part of the classes that are answered at all."""

from __future__ import annotations

import numpy as np

from dalib.core.metric import Metric


class PredictedClasses(Metric):
    """|set of answers| / outputs, in [0, 1]; reads no label. With an output for unknown classes that counts too."""

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        return len(np.unique(answer)) / prediction.shape[1]
