"""Defect: a mutable default, and a constructor that converts what it is given."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target


class MutableConstructor(Algorithm):
    """A contract broken on purpose.

    loss = CE(logits_s, y_s) + mean_i scales_i * mean z_t^2

    Args
        weight: trade-off, dimensionless, >= 0
        scales: factors, dimensionless
    Reference
        None; a test of the tests.
    """

    def __init__(self, weight: float = 1.0, scales: list[float] = [0.5, 1.0]) -> None:  # noqa: B006
        super().__init__()
        self.weight = weight
        self.scales = [weight * s for s in scales]

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"ce": F.cross_entropy(source.logits, source.y), "size": sum(self.scales) * target.z.square().mean()}
