"""Numbers of rows and columns that are none."""

import math

import numpy as np
import pytest

import dalib
from dalib.core.errors import DalibError


@pytest.mark.parametrize("rows", [math.nan, 10.5, "10", True, 0])
def test_rows_are_whole_numbers_or_refused(rows):
    with pytest.raises(DalibError, match=r"n_s = .* is out of range; give a whole number"):
        dalib.estimate_cost("kmm", rows, 10, 5)


def test_numpy_s_whole_numbers_count():
    assert dalib.estimate_cost("kmm", np.int64(10), 10, 5).bytes == dalib.estimate_cost("kmm", 10, 10, 5).bytes
