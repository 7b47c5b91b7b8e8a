"""Share of pixels that get their class."""

from __future__ import annotations

import math

import numpy as np

from dalib.core.metric import Metric
from dalib.metrics._confusion import confusion


class PixelAccuracy(Metric):
    """|y = answer| / n over all pixels with a label, in [0, 1]."""

    objectives = ("segmentation",)

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        counts = confusion(y, answer, known)
        return float(counts.trace() / counts.sum()) if counts.sum() else math.nan
