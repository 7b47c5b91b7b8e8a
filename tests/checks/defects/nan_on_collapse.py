"""Defect: divides by a standard deviation without an eps."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target


class NanOnCollapse(Algorithm):
    """A contract broken on purpose.

    loss = CE(logits_s, y_s) + weight * ||mean z_s / std z_s - mean z_t / std z_t||^2

    Args
        weight: trade-off, dimensionless, >= 0
    Reference
        None; a test of the tests.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        gap = source.z.mean(0) / source.z.std(0) - target.z.mean(0) / target.z.std(0)
        return {"ce": F.cross_entropy(source.logits, source.y), "gap": self.weight * gap.square().mean()}
