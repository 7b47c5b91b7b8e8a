"""Items of torch's Datasets and DataLoaders: which part is the row, and which its label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from dalib.core.errors import DalibError
from dalib.data.decode import picture_row


def pair(item: Any, where: str) -> tuple[Any, Any]:
    """(x, y or None) of an item (x, y), (x,) or x."""
    if isinstance(item, Mapping):
        raise DalibError(
            f"{where} is a dictionary of {', '.join(map(str, item))}; give a Dataset of pairs (x, y), such as "
            "[(row['image'], row['label']) for row in data]"
        )
    if not isinstance(item, (tuple, list)):
        return item, None
    if len(item) > 2:
        raise DalibError(f"{where} has {len(item)} parts; say which are row and label: a Dataset of pairs (x, y)")
    return (*item, None)[:2] if item else (None, None)


def row_labels(y: Any, n: int, where: str) -> list[Any]:
    """The labels of n rows, None where there is none."""
    if y is None:
        return [None] * n
    values = np.asarray(y.detach().cpu() if hasattr(y, "detach") else y)
    if values.size != n:
        raise DalibError(
            f"{where}: a label of shape {values.shape} for {n} {'rows' if n > 1 else 'row'}; give one number or word"
            " per row (of one-hot labels y.argmax(-1)), and rows without labels alone, no pairs"
        )
    return list(values.ravel())


def items(data: Any) -> Iterable[Any]:
    """By number where there is a length, for many a Dataset has no end when it is iterated."""
    from torch.utils.data import IterableDataset

    counted = hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, IterableDataset)
    return (data[i] for i in range(len(data))) if counted else data


def row_of(x: Any) -> np.ndarray:
    """A tensor of any layout and type, an array or a PIL image as an array; bfloat16, which NumPy lacks, as float32."""
    if hasattr(x, "convert"):
        return picture_row(x)
    if hasattr(x, "detach"):
        import torch

        x = x.detach().cpu()
        x = x if x.layout is torch.strided else x.to_dense()
        x = x.float() if x.dtype is torch.bfloat16 else x
    return np.asarray(x)
