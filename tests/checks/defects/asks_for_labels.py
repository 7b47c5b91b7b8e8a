"""Defect: asks the target for its labels outright."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms, TrainerLike
from dalib.core.types import Domain, Source, Target


class AsksForLabels(Algorithm):
    """A contract broken on purpose.

    loss = CE(logits_s, y_s) + weight * mean z_t^2

    Args
        weight: trade-off, dimensionless, >= 0
    Reference
        None; a test of the tests.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        self.known = target.labels

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"ce": F.cross_entropy(source.logits, source.y), "size": self.weight * target.z.square().mean()}
