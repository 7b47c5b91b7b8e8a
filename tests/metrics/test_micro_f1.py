from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score


def test_it_is_that_of_scikit_learn(metric, several) -> None:
    y, _, answer, _ = several
    assert metric.score(*several) == pytest.approx(f1_score(y, answer, average="micro"), rel=1e-12)


def test_entries_that_are_not_annotated_are_left_out(metric, several, hide) -> None:
    y, prediction, answer, known = hide(several, 0.3)
    reference = f1_score(y[y >= 0], answer[y >= 0])
    assert metric.score(y, prediction, answer, known) == pytest.approx(reference, rel=1e-12)


def test_nothing_there_and_nothing_answered_is_0_and_nothing_annotated_nan(metric, several, hide) -> None:
    zeros = np.zeros((4, 2), np.int64)
    assert metric.score(zeros, zeros, zeros, 0) == 0 == f1_score(zeros, zeros, average="micro", zero_division=0)
    assert np.isnan(metric.score(*hide(several, 1.0)))
