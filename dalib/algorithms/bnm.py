"""Predict the target with certainty and variety: a large nuclear norm of the batch's predictions."""

from __future__ import annotations

from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.spectrum import nuclear_norm


class BNM(Algorithm):
    """Batch nuclear-norm maximisation; no domain alignment at all.

    loss = CE(logits_s, y_s) - weight * ||P_t||_* / B,  P_t = softmax(logits_t), ||.||_* the sum of singular values

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Cui et al. Towards Discriminability and Diversity: Batch Nuclear-norm Maximization under Label Insufficient
        Situations. CVPR 2020. arXiv:2003.12237. The paper divides by B; the authors' training script by min(B, K).
    """

    family = "self-training"
    objectives = ("classification",)
    paper = "cui2020bnm"

    weight: float = positive(default=1.0, zero=True, search=(0.3, 1.0, 3.0), doc="trade-off of the norm, dimensionless")

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        norm = nuclear_norm(target.logits.softmax(1)) / len(target)
        return {"nuclear": -self.weight * norm}
