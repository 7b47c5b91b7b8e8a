"""Defect: the discriminator ends in a softmax over one unit, so its output is 1 and its gradient 0."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target


class ZeroGradientAdversary(Algorithm):
    """A contract broken on purpose.

    loss = CE(logits_s, y_s) + weight * BCE(softmax(D(R(z))), domain)

    Args
        weight: trade-off, dimensionless, >= 0
    Reference
        None; a test of the tests.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def build(self, dim: int, num_classes: int) -> None:
        self.discriminator = nn.Sequential(nn.Linear(dim, 8), nn.ReLU(), nn.Linear(8, 1), nn.Softmax(1))

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        z = torch.cat([source.z, target.z])
        domain = torch.cat([torch.ones(len(source)), torch.zeros(len(target))])
        p = self.discriminator(z).squeeze(1).clamp(0.01, 0.99)
        return {
            "ce": F.cross_entropy(source.logits, source.y),
            "domain": self.weight * F.binary_cross_entropy(p, domain),
        }
