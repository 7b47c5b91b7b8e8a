"""What of a table's columns is a number, and which words are."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest

from dalib.core.errors import DalibError
from dalib.data.encode import encode_columns


def test_objects_that_are_numbers_are_numbers() -> None:
    """They became a column of 0 and 1 each."""
    frame = pd.DataFrame({"f": pd.Series([1.5, 2, 3], dtype=object), "g": [True, False, True]})
    for one_hot in (False, True):
        assert encode_columns(frame, one_hot).to_numpy(float).tolist() == [[1.5, 1], [2, 0], [3, 1]]


def test_words_are_a_column_each_and_so_are_categories_and_codes() -> None:
    frame = pd.DataFrame({"w": ["red", "blue"], "c": pd.Categorical([1, 2]), "zip": ["01234", "99999"]})
    assert encode_columns(frame, True).columns.tolist() == [
        "w_blue", "w_red", "c_1", "c_2", "zip_01234", "zip_99999",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["1.5", "2.5", "?"], "numbers or dates as words .'1.5', and '[?]'"),
        (["39", "25", "31", "n/a "], "as words .'39', and 'n/a'"),
        (["1,5", "2,5"], "as words .'1,5'."),
        (["1,234", "-"], "as words .'1,234', and '-'"),
        (["2020-01-31", "2020-02-01"], "as words .'2020-01-31'."),
        ([Decimal("1.5"), Decimal("2.5")], "as words .'1.5'."),
        (["red", None], "column 'f' is empty in 1 rows; write a word there"),
    ],
)
def test_what_may_be_a_number_and_an_empty_cell_are_refused_among_words(cells: list[object], words: str) -> None:
    with pytest.raises(DalibError, match=words):
        encode_columns(pd.DataFrame({"f": pd.Series(cells, dtype=object)}), one_hot=True)
