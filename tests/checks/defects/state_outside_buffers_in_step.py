"""Defect: the step counts itself in a plain attribute; only the resume shows it in the weights."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from dalib.core.algorithm import Algorithm, Minimise, Terms
from dalib.core.types import Source, Target


class StateOutsideBuffersInStep(Algorithm):
    """A contract broken on purpose.

    loss = CE(logits_s, y_s) + weight * c(step) * mean z_t^2

    Args
        weight: trade-off, dimensionless, >= 0
    Reference
        None; a test of the tests.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def build(self, dim: int, num_classes: int) -> None:
        self.count = 0

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {
            "ce": F.cross_entropy(source.logits, source.y),
            "size": self.weight * (1 + self.count) * target.z.square().mean(),
        }

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        minimise(self.loss(source, target, progress))
        self.count += 1
