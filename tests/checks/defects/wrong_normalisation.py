"""Defect: forgets to divide by the batch size, so the term's weight depends on B and unequal batches fail."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target


class WrongNormalisation(Algorithm):
    """A contract broken on purpose.

    loss = CE(logits_s, y_s) + weight * sum_i ||z_s,i - z_t,i||^2

    Args
        weight: trade-off, dimensionless, >= 0
    Reference
        None; a test of the tests.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {
            "ce": F.cross_entropy(source.logits, source.y),
            "gap": self.weight * (source.z - target.z).square().sum(),
        }
