"""Rows out of torch's data sets: any tensor, any picture."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from dalib.data.items import items, pair, row_labels, row_of


def test_tensors_of_any_type_and_layout_are_arrays() -> None:
    row = torch.tensor([[0.0, 1.5], [2.0, 0.0]])
    for given in (row, row.bfloat16(), row.to_sparse(), row.to_sparse_csr(), row.clone().requires_grad_()):
        np.testing.assert_array_equal(row_of(given), row.numpy())


def test_pictures_are_read_as_those_of_a_folder() -> None:
    """16 bits were cut off at 255, and what is transparent was black here and white there."""
    deep = row_of(Image.fromarray(np.arange(16, dtype=np.uint16).reshape(4, 4) * 4000))
    assert deep.shape == (3, 4, 4) and deep[0].ravel()[[1, 8, 15]].tolist() == [15, 124, 233]
    assert (row_of(Image.new("RGBA", (2, 2), (0, 0, 0, 0))) == 255).all()


def test_items_are_taken_by_number_where_there_is_a_length() -> None:
    assert list(items(["a", "b"])) == ["a", "b"] and pair(("x", 1), "") == ("x", 1) and pair("x", "") == ("x", None)
    assert row_labels(torch.tensor([[3], [4]]), 2, "") == [3, 4] and row_labels(None, 2, "") == [None, None]
