from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score


def test_it_is_that_of_scikit_learn_over_the_classes_that_occur(metric, classes) -> None:
    y, _, answer, _ = classes
    assert metric.score(*classes) == f1_score(y, answer, labels=np.unique(y), average="macro", zero_division=0)


def test_of_several_answers_it_is_that_of_scikit_learn(metric, several) -> None:
    y, _, answer, _ = several
    assert metric.score(*several) == pytest.approx(f1_score(y, answer, average="macro", zero_division=0), rel=1e-12)


def test_each_column_counts_its_annotated_rows(metric, several, hide) -> None:
    y, prediction, answer, known = hide(several, 0.3)
    y[:, 0] = -1
    kept = [f1_score(y[y[:, k] >= 0, k], answer[y[:, k] >= 0, k], zero_division=0) for k in range(1, 5)]
    assert metric.score(y, prediction, answer, known) == pytest.approx(np.mean(kept), rel=1e-12)


def test_nothing_annotated_is_nan(metric, several, hide) -> None:
    assert np.isnan(metric.score(*hide(several, 1.0)))
