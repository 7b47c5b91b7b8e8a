"""Defect: noise from NumPy's global generator, which no seed of the trainer reaches."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target


class GlobalNumpyGenerator(Algorithm):
    """A contract broken on purpose.

    loss = CE(logits_s, y_s) + weight * mean (z_t + noise)^2

    Args
        weight: trade-off, dimensionless, >= 0
    Reference
        None; a test of the tests.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        noise = float(np.random.standard_normal())  # noqa: NPY002
        return {
            "ce": F.cross_entropy(source.logits, source.y),
            "noise": self.weight * (target.z + noise).square().mean(),
        }
