from __future__ import annotations

import numpy as np
from sklearn.metrics import precision_score


def test_it_is_that_of_scikit_learn_over_the_classes_that_occur(metric, classes) -> None:
    y, _, answer, _ = classes
    reference = precision_score(y, answer, labels=np.unique(y), average="macro", zero_division=0)
    assert metric.score(*classes) == reference
    assert metric.score(*classes) != precision_score(y, answer, labels=range(7), average="macro", zero_division=0)


def test_a_class_that_is_never_answered_counts_0(metric, classes) -> None:
    y, prediction, answer, known = classes
    answer = np.where(answer == 5, 0, answer)
    reference = precision_score(y, answer, labels=np.unique(y), average="macro", zero_division=0)
    assert metric.score(y, prediction, answer, known) == reference
