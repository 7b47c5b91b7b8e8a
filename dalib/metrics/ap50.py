"""Average precision of boxes that overlap by a half."""

from __future__ import annotations

import numpy as np

from dalib.core.metric import Metric
from dalib.metrics._coco import average, evaluate_boxes


class AP50(Metric):
    """Average precision at an overlap (IoU) of .50: `coco_ap` at its mildest, and about Pascal VOC's.

    Computed by pycocotools; most papers on detection across domains report it.
    """

    objectives = ("detection",)
    paper = "lin2014coco"

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        return average(evaluate_boxes(y, answer, known)[0, :, :, 0, -1])
