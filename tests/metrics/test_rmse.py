from __future__ import annotations

import pytest
from sklearn.metrics import root_mean_squared_error


def test_it_is_that_of_scikit_learn(metric, numbers) -> None:
    y, _, answer, _ = numbers
    assert metric.score(*numbers) == pytest.approx(root_mean_squared_error(y, answer), rel=1e-12)
