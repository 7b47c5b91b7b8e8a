"""When a measure applies."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.core.types import Outputs


def usable(outputs: Outputs, classifier: bool = False) -> bool:
    """Three or more rows of two or more classes, finite features and, if asked for, finite logits of a classifier."""
    y, read = outputs.y, (outputs.z, outputs.logits) if classifier else (outputs.z,)
    if y is None or len(y) < 3 or len(y.unique()) < 2:
        return False
    return all(part.shape[1] > 0 and bool(part.isfinite().all()) for part in read)


def one_hot(y: Tensor | None) -> Tensor:
    """y (n,) -> (n, K) float64 indicators of the K classes that occur, in ascending order of label."""
    assert y is not None
    number = y.unique(return_inverse=True)[1]
    return torch.nn.functional.one_hot(number).double()
