"""Predict the target with certainty, all classes about equally often."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target
from dalib.nn.entropy import information_maximisation


class EntropyMinimisation(Algorithm):
    """Entropy minimisation on the target, kept from collapsing by diversity (information maximisation).

    loss = CE(logits_s, y_s) + weight * (mean_i H(p_i) - diversity * H(mean_i p_i)),  p = softmax(logits_t)

    Args
        weight: trade-off of both entropies, dimensionless, >= 0
        diversity: weight of the batch's marginal entropy, >= 0; 0 is plain entropy minimisation
    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Grandvalet & Bengio. Semi-supervised Learning by Entropy Minimization. NeurIPS 2004; the diversity term: Liang
        et al. ICML 2020. arXiv:2002.08546. Departure: its marginal is the batch's, so with fewer rows than classes it
        can only be approximate.
    """

    family = "self-training"
    paper = "grandvalet2004entropy"
    space = {"weight": [0.01, 0.1, 1.0], "diversity": [0.0, 1.0]}

    def __init__(self, weight: float = 0.1, diversity: float = 1.0) -> None:
        super().__init__()
        self.weight = weight
        self.diversity = diversity

    def check(self) -> None:
        require_positive(self, "weight", "diversity", zero=True)

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {
            "classification": cross_entropy(source.logits, source.y),
            "information": self.weight * information_maximisation(target.logits, self.diversity),
        }
