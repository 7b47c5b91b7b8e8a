"""Predict the target with little confusion between classes."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target
from dalib.nn.entropy import class_confusion


class MCC(Algorithm):
    """Minimum class confusion; no domain alignment at all.

    loss = CE(logits_s, y_s) + weight * (sum C - tr C) / K
    p = softmax(logits_t / temperature), C = pᵀ diag(W) p with rows scaled to sum 1, W_i ∝ 1 + e^(-H(p_i)) of mean 1

    Args
        weight: trade-off of the confusion, dimensionless, >= 0
        temperature: softens the target's predictions, > 0
    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Jin et al. Minimum Class Confusion for Versatile Domain Adaptation. ECCV 2020. arXiv:1912.03699.
        Departure: a class whose probability underflows in the whole batch contributes 0.
    """

    family = "self-training"
    paper = "jin2020mcc"
    space = {"weight": [0.3, 1.0, 3.0], "temperature": [1.5, 2.5, 4.0]}

    def __init__(self, weight: float = 1.0, temperature: float = 2.5) -> None:
        super().__init__()
        self.weight = weight
        self.temperature = temperature

    def check(self) -> None:
        require_positive(self, "weight", zero=True)
        require_positive(self, "temperature")

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {
            "classification": cross_entropy(source.logits, source.y),
            "confusion": self.weight * class_confusion(target.logits, self.temperature),
        }
