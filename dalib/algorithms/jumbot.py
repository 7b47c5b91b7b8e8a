"""Couple source and target rows by unbalanced optimal transport: rows without a partner in the batch stay uncoupled."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target
from dalib.nn.discrepancy import squared_distances
from dalib.nn.transport import unbalanced_sinkhorn


class JUMBOT(Algorithm):
    """Joint unbalanced mini-batch optimal transport.

    loss = CE(logits_s, y_s) + weight * <P, cost>,  cost_ij = alpha * ||z_s_i - z_t_j||² + lam * CE(y_s_i, logits_t_j)
    P = argmin_P <P, cost> + reg * KL(P | abᵀ) + reg_m * (KL(P1 | a) + KL(Pᵀ1 | b)), constant; a, b uniform

    Args
        weight: trade-off of the transport cost, dimensionless, >= 0
        alpha: weight of the feature distance, >= 0 (the paper's eta_1)
        lam: weight of the label loss, >= 0 (eta_2)
        reg: entropy, in units of the cost, > 0 (epsilon)
        reg_m: penalty on mass that is left out, in units of the cost, > 0 (tau); large = balanced
    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Fatras et al. Unbalanced Minibatch Optimal Transport; Applications to Domain Adaptation. ICML 2021.
        arXiv:2103.03606. Defaults: the authors' Office-Home script, whose source batches are class-balanced
        (sampler = "class_balanced").
    """

    family = "optimal transport"
    paper = "fatras2021jumbot"
    space = {"alpha": [0.001, 0.01, 0.1], "lam": [0.1, 0.5, 1.0], "reg_m": [0.3, 0.5, 1.0]}

    def __init__(
        self, weight: float = 1.0, alpha: float = 0.01, lam: float = 0.5, reg: float = 0.01, reg_m: float = 0.5
    ) -> None:
        super().__init__()
        self.weight = weight
        self.alpha = alpha
        self.lam = lam
        self.reg = reg
        self.reg_m = reg_m

    def check(self) -> None:
        require_positive(self, "weight", "alpha", "lam", zero=True)
        require_positive(self, "reg", "reg_m")

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        z = torch.cat([source.z, target.z])
        z_s, z_t = (z - z.detach().mean(0)).split([len(source), len(target)])
        label = -target.logits.log_softmax(1).T[source.y]
        cost = self.alpha * squared_distances(z_s, z_t) + self.lam * label
        plan = unbalanced_sinkhorn(cost, self.reg, self.reg_m)
        return {
            "classification": cross_entropy(source.logits, source.y),
            "transport": self.weight * (plan * cost).sum(),
        }
