"""The mean absolute error in deviations of the labels, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dalib.core.registry import METRICS


def test_the_deviation_is_that_of_the_rows_themselves_with_divisor_n() -> None:
    y = np.array([[0.0, 5.0], [2.0, 5.0]])
    answer = np.array([[1.0, 9.0], [2.0, 5.0]])
    assert METRICS.get("nmae")().score(y, answer, answer, 2) == pytest.approx(0.5)
