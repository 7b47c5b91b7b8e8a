"""The mean absolute error in deviations of the labels, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dalib.core.registry import METRICS


def test_the_deviation_is_that_of_the_rows_themselves_with_divisor_n() -> None:
    y = np.array([[0.0, 5.0], [2.0, 5.0]])
    answer = np.array([[1.0, 9.0], [2.0, 5.0]])
    assert METRICS.get("nmae")().score(y, answer, answer, 2) == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["nmae", "nrmse", "r2"])
def test_equal_labels_have_no_deviation_whatever_rounding_says(name: str) -> None:
    y = np.stack([np.arange(37.0), np.full(37, 0.1)], axis=1)
    assert y[:, 1].std() > 0
    answer = y + np.array([1.0, 3.0])
    first = METRICS.get(name)().score(y[:, :1], answer[:, :1], answer[:, :1], 1)
    told = METRICS.get(name)().score(y, answer, answer, 2)
    assert told == pytest.approx(first / 2 if name == "r2" else first)
