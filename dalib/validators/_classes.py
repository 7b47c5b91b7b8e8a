"""Means of the predicted classes."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.core.types import Outputs


def predicted_classes(target: Outputs) -> tuple[Tensor, Tensor, Tensor]:
    """y (n,) in [0, k), rows per class (k,), means of z (k, d) in float64; k <= K, the classes that are predicted."""
    _, y, size = target.logits.argmax(1).unique(return_inverse=True, return_counts=True)
    total = torch.zeros(len(size), target.z.shape[1], dtype=torch.float64).index_add(0, y, target.z.double())
    return y, size, total / size[:, None]
