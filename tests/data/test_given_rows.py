"""Rows and domains that a caller hands to a trained model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dalib.core.errors import DalibError
from dalib.core.types import Domain
from dalib.data.given_rows import check_domain, check_given

X = np.arange(12.0).reshape(4, 3)
DOMAIN = Domain("mine", X, np.array([0, 1, 2, 3]), ("a", "b", "c"), "")


def test_numbers_pass_as_they_are_and_objects_as_the_numbers_that_they_are() -> None:
    for x in (X, X.astype(np.float16), X.astype(int), X > 3, X.astype(np.uint8).reshape(4, 1, 3, 1)):
        assert check_given(x, "rows") is x
    np.testing.assert_array_equal(check_given(X.astype(object), "rows"), X)
    assert check_given(1e300 * X, "rows", scaled=True).max() > 1e300


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[0], r"rows: the rows have the shape \(3,\); give one row per sample"),
        (np.array(3.0), r"the rows have the shape \(\)"),
        (np.where(X == 7, np.nan, X), "the rows have NaN or infinity, first in row 2; remove or fill such rows"),
        (np.where(X == 3, np.inf, X), "NaN or infinity, first in row 1"),
        (1e300 * X, "the rows hold 1.1e[+]301, beyond what float32 can; scale them"),
        (X.astype(str), "the rows are of type <U32; give real numbers"),
        (X + 1j, "the rows are of type complex128; give real numbers"),
        (np.array([["a", 1]], object), "the rows hold words or objects; encode them as numbers"),
    ],
)
def test_what_is_no_number_is_refused_with_its_row(x: np.ndarray, message: str) -> None:
    with pytest.raises(DalibError, match=message):
        check_given(x, "rows")


def test_of_several_modalities_each_is_looked_at() -> None:
    x = np.zeros(2, [("image", np.uint8, (3, 4, 4)), ("sound", np.float32, (5,))])
    assert check_given(x, "rows") is x
    x["sound"][1, 0] = np.nan
    with pytest.raises(DalibError, match="rows, sound: the rows have NaN or infinity, first in row 1"):
        check_given(x, "rows")


def test_labels_are_places_among_the_classes_or_the_place_after_them() -> None:
    assert check_domain(DOMAIN.unlabelled()).y is None
    for y in (DOMAIN.y, np.array([0, 1, 2, 3], np.uint8), [0, 1, 2, 3]):
        told = check_domain(replace(DOMAIN, y=y)).y
        assert told is not None and told.dtype == np.int64 and told.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (
            np.array([0, 1, -1, -1]),
            r"'mine' has the label -1 in row 2 \(2 rows in all\), but labels are places in its 3",
        ),
        (np.array([0, 4, 1, 2]), r"has the label 4 in row 1 \(1 rows in all\)"),
        (np.array([0.0, 1, 2, 1]), r"its labels are float64 of shape \(4,\); give whole numbers \(4,\)"),
        (np.array(["a", "b", "c", "a"]), r"its labels are <U1 of shape \(4,\)"),
        (np.array([[0], [1], [2], [1]]), r"its labels are int64 of shape \(4, 1\)"),
        (np.array([0, 1]), "'mine' has 4 rows and 2 labels; give each row its own"),
    ],
)
def test_labels_that_mean_no_class_are_refused(y: Any, message: str) -> None:
    with pytest.raises(DalibError, match=message):
        check_domain(replace(DOMAIN, y=y))


def test_a_domain_is_named_where_its_rows_are_no_numbers() -> None:
    with pytest.raises(DalibError, match="domain 'mine': the rows have NaN or infinity, first in row 0"):
        check_domain(replace(DOMAIN, x=np.full((4, 3), np.nan)))
