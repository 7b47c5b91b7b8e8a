"""Defect: row i of the source is compared with row i of the target, which have nothing to do with each other."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target


class RowPairs(Algorithm):
    """A contract broken on purpose.

    loss = CE(logits_s, y_s) + weight * mean_i ||z_s_i - z_t_i||^2

    Args
        weight: trade-off, dimensionless, >= 0
    Reference
        None; a test of the tests.
    """

    def __init__(self, weight: float = 0.01) -> None:
        super().__init__()
        self.weight = weight

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        n = min(len(source), len(target))
        gap = (source.z[:n] - target.z[:n]).square().mean()
        return {"ce": F.cross_entropy(source.logits, source.y), "pairs": self.weight * gap}
