"""Defect: a running mean lives in a plain attribute, so a resumed run forgets it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target


class StateOutsideBuffers(Algorithm):
    """A contract broken on purpose.

    loss = CE(logits_s, y_s) + weight * ||mean z_s - running mean of z_t||^2

    Args
        weight: trade-off, dimensionless, >= 0
    Reference
        None; a test of the tests.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def build(self, dim: int, num_classes: int) -> None:
        self.mean = torch.zeros(dim)

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        gap = source.z.mean(0) - 0.5 * self.mean - 0.5 * target.z.mean(0)
        self.mean = 0.9 * self.mean + 0.1 * target.z.mean(0).detach()
        return {"ce": F.cross_entropy(source.logits, source.y), "gap": self.weight * gap.square().mean()}
