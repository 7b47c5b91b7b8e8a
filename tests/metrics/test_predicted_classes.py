from __future__ import annotations

import numpy as np


def test_it_counts_the_classes_that_are_answered(metric, classes) -> None:
    y, prediction, answer, known = classes
    assert metric.score(*classes) == len(set(answer.tolist())) / 7
    assert metric.score(y, prediction, np.zeros_like(answer), known) == 1 / 7
