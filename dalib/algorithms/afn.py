"""Enlarge the features' norms on both domains, step by step."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target
from dalib.nn.entropy import prediction_entropy


class AFN(Algorithm):
    """Adaptive feature norm: stepwise (SAFN), or towards one radius (`hard`, HAFN).

    loss = CE(logits_s, y_s) + weight * sum over both domains of norm + ent_weight * mean H(softmax(logits_t))
    stepwise: norm = mean_i (||z_i|| - r_i)²,  r_i = ||z_i|| + delta, constant: every norm is asked to grow by delta
    hard:     norm = (mean_i ||z_i|| - radius)²

    Args
        weight: trade-off of the norm, >= 0
        hard: one radius for all
        delta: step, in units of z, > 0 (stepwise)
        radius: in units of z, > 0 (hard); the paper's 25 is for 1000-wide features
        ent_weight: weight of the target's entropy, >= 0
    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Xu et al. Larger Norm More Transferable: An Adaptive Feature Norm Approach for Unsupervised Domain Adaptation.
        ICCV 2019. arXiv:1811.07456. ent_weight: the paper's +ENT rows and Transfer-Learning-Library's Office-31
        scripts; 0 is the paper's plain SAFN. Departure: no L2-preserving dropout in the bottleneck, which is the
        network's.
    """

    family = "regularisation"
    paper = "xu2019afn"
    space = {"weight": [0.01, 0.05, 0.1], "hard": [False, True], "ent_weight": [0.0, 0.1]}

    def __init__(
        self,
        weight: float = 0.05,
        hard: bool = False,
        delta: float = 1.0,
        radius: float = 25.0,
        ent_weight: float = 0.1,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.hard = hard
        self.delta = delta
        self.radius = radius
        self.ent_weight = ent_weight

    def check(self) -> None:
        require_positive(self, "weight", "ent_weight", zero=True)
        require_positive(self, "delta", "radius")

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        norms = [torch.linalg.vector_norm(rows.z, dim=1) for rows in (source, target)]
        if self.hard:
            off = [(r.mean() - self.radius).square() for r in norms]
        else:
            off = [(r - (r.detach() + self.delta)).square().mean() for r in norms]
        return {
            "classification": cross_entropy(source.logits, source.y),
            "norm": self.weight * (off[0] + off[1]),
            "entropy": self.ent_weight * prediction_entropy(target.logits).mean(),
        }
