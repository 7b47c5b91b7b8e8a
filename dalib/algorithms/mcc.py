"""Predict the target with little confusion between classes."""

from __future__ import annotations

from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.entropy import class_confusion


class MCC(Algorithm):
    """Minimum class confusion; no domain alignment at all.

    loss = CE(logits_s, y_s) + weight * (sum C - tr C) / K
    p = softmax(logits_t / temperature), C = pᵀ diag(W) p with rows scaled to sum 1, W_i ∝ 1 + e^(-H(p_i)) of mean 1

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Jin et al. Minimum Class Confusion for Versatile Domain Adaptation. ECCV 2020. arXiv:1912.03699.
        Departure: a class whose probability underflows in the whole batch contributes 0.
    """

    family = "self-training"
    objectives = ("classification",)
    paper = "jin2020mcc"

    weight: float = positive(
        default=1.0, zero=True, search=(0.3, 1.0, 3.0), doc="trade-off of the confusion, dimensionless"
    )
    temperature: float = positive(default=2.5, search=(1.5, 2.5, 4.0), doc="softens the target's predictions")

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {
            "confusion": self.weight * class_confusion(target.logits, self.temperature),
        }
