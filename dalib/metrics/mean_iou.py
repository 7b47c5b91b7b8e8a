"""Mean intersection over union of the classes of pixels."""

from __future__ import annotations

import math

import numpy as np

from dalib.core.metric import Metric
from dalib.metrics._confusion import confusion, overlap


class MeanIoU(Metric):
    """mean over classes of |y = c and answer = c| / |y = c or answer = c|, over all pixels of all pictures together.

    Pixels without a label (255) count nothing. A class that neither occurs nor is answered is left out; the background
    is a class where the masks have one.
    """

    objectives = ("segmentation",)
    paper = "everingham2010voc"

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        each = overlap(confusion(y, answer, known))
        return float(np.nanmean(each)) if np.isfinite(each).any() else math.nan
