from __future__ import annotations

import pytest
from sklearn.metrics import accuracy_score


def test_it_is_that_of_scikit_learn(metric, classes) -> None:
    y, _, answer, _ = classes
    assert metric.score(*classes) == pytest.approx(accuracy_score(y, answer), rel=1e-12)
