"""COCO's average precision of boxes."""

from __future__ import annotations

import numpy as np

from dalib.core.metric import Metric
from dalib.metrics._coco import average, evaluate_boxes


class CocoAP(Metric):
    """Average precision, the mean over overlaps (IoU) .50, .55 … .95, over 101 recalls and the classes that occur.

    Computed by pycocotools with COCO's settings: boxes of any size, at most 100 a picture.

    Reference
        Lin et al. Microsoft COCO: Common Objects in Context. ECCV 2014. arXiv:1405.0312.
    """

    objectives = ("detection",)
    paper = "lin2014coco"

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        return average(evaluate_boxes(y, answer, known)[:, :, :, 0, -1])
