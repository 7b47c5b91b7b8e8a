"""Enlarge the features' norms on both domains, step by step."""

import torch
from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import flag, positive
from dalib.core.types import Source, Target
from dalib.nn.entropy import prediction_entropy


class AFN(Algorithm):
    """Adaptive feature norm: stepwise (SAFN), or towards one radius (`hard`, HAFN).

    loss = CE(logits_s, y_s) + weight * sum over both domains of norm + ent_weight * mean H(softmax(logits_t))
    stepwise: norm = mean_i (||z_i|| - r_i)²,  r_i = ||z_i|| + delta, constant: every norm is asked to grow by delta
    hard:     norm = (mean_i ||z_i|| - radius)²

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Xu et al. Larger Norm More Transferable: An Adaptive Feature Norm Approach for Unsupervised Domain Adaptation.
        ICCV 2019. arXiv:1811.07456. ent_weight: the paper's +ENT rows and Transfer-Learning-Library's Office-31
        scripts; 0 is the paper's plain SAFN. Departure: no L2-preserving dropout in the network's bottleneck.
    """

    family = "regularisation"
    objectives = ("classification",)
    paper = "xu2019afn"
    weight: float = positive(default=0.05, zero=True, search=(0.01, 0.05, 0.1), doc="trade-off of the norm")
    hard: bool = flag(default=False, search=(False, True), doc="one radius for all")
    delta: float = positive(default=1.0, doc="step, in units of z (stepwise)")
    radius: float = positive(default=25.0, doc="in units of z (hard); the paper's 25 is for 1000-wide features")
    ent_weight: float = positive(default=0.1, zero=True, search=(0.0, 0.1), doc="weight of the target's entropy")

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        norms = [torch.linalg.vector_norm(rows.z, dim=1) for rows in (source, target)]
        if self.hard:
            off = [(r.mean() - self.radius).square() for r in norms]
        else:
            off = [(r - (r.detach() + self.delta)).square().mean() for r in norms]
        return {
            "norm": self.weight * (off[0] + off[1]),
            "entropy": self.ent_weight * prediction_entropy(target.logits).mean(),
        }
