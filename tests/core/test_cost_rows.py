"""Numbers of rows and columns that are none."""

import math

import numpy as np
import pytest

import dalib
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS


@pytest.mark.parametrize("rows", [math.nan, 10.5, "10", True, 0])
def test_rows_are_whole_numbers_or_refused(rows):
    with pytest.raises(DalibError, match=r"n_s = .* is out of range; give a whole number"):
        dalib.estimate_cost("kmm", rows, 10, 5)


def test_numpy_s_whole_numbers_count():
    assert dalib.estimate_cost("kmm", np.int64(10), 10, 5).bytes == dalib.estimate_cost("kmm", 10, 10, 5).bytes


@pytest.mark.parametrize("rows", [1, 2])
def test_a_part_of_one_row_is_refused_by_its_setting(rows):
    rng = np.random.default_rng(0)
    x, y, x_t = rng.normal(size=(41, 4)), rng.integers(0, 2, 41), rng.normal(size=(30, 4))
    with pytest.raises((DalibError, ValueError), match=r"block_rows = [12] leaves a part of one row; give more"):
        dalib.AdaptationClassifier(ALGORITHMS.get("kmm")(block_rows=rows)).fit(x, y, X_target=x_t)


@pytest.mark.parametrize("algorithm", [None, 3, dalib.KMM, ["kmm"]])
def test_what_is_no_algorithm_is_refused(algorithm: object) -> None:
    with pytest.raises(DalibError, match=r"is neither a name nor an algorithm; give 'kmm' or KMM\(\)"):
        dalib.estimate_cost(algorithm, 10, 10, 5)  # type: ignore[arg-type]
