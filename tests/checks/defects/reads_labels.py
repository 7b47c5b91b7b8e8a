"""Defect: learns from the accuracy on the target's labels, which only the report may see."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Domain, Source, Target


class ReadsLabels(Algorithm):
    """A contract broken on purpose.

    loss = CE(logits_s, y_s) + weight * (target accuracy) * mean z_t^2

    Args
        weight: trade-off, dimensionless, >= 0
    Reference
        None; a test of the tests.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def build(self, dim: int, num_classes: int) -> None:
        self.register_buffer("accuracy", torch.zeros(()))

    def fit(self, trainer: Any, source: Domain, target: Domain) -> None:
        trainer.evaluate(0)
        self.accuracy.fill_(trainer.fitted.candidates.pop()["target_accuracy"])
        trainer.descend(self, source, target)

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {
            "ce": F.cross_entropy(source.logits, source.y),
            "size": self.weight * (0.1 + self.accuracy) * target.z.square().mean(),
        }
