from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score


def test_it_is_that_of_scikit_learn(metric, numbers) -> None:
    y, _, answer, _ = numbers
    assert metric.score(*numbers) == pytest.approx(r2_score(y, answer), rel=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_a_constant_column_counts_as_in_scikit_learn(metric, numbers, offset) -> None:
    y, _, answer, _ = numbers
    y[:, 0], answer[:, 0] = 2.0, 2.0 + offset
    assert metric.score(y, answer, answer, 0) == pytest.approx(r2_score(y, answer), rel=1e-12)


def test_two_rows_are_enough(metric, numbers) -> None:
    y, _, answer, _ = numbers
    assert metric.score(y[:2], answer[:2], answer[:2], 0) == pytest.approx(r2_score(y[:2], answer[:2]), rel=1e-12)


def test_one_row_is_nan(metric, numbers) -> None:
    y, _, answer, _ = numbers
    assert np.isnan(metric.score(y[:1], answer[:1], answer[:1], 0))
