"""DANN that also pulls each class's centroids in the two domains together, the target's by its predicted labels."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.algorithms._ranges import require_positive
from dalib.algorithms.dann import DANN
from dalib.core.algorithm import Terms
from dalib.core.errors import DalibError
from dalib.core.types import Source, Target
from dalib.nn.adversarial import warm_up
from dalib.nn.prototypes import move_class_means, seen


class MSTN(DANN):
    """Moving semantic transfer network.

    loss = CE(logits_s, y_s) + weight * BCE(D(R(z)), domain) + semantic * r * mean_k ||c_s_k - c_t_k||² / d
    c_k = decay * c_k of the last step + (1 - decay) * mean z of the batch's rows of class k
    classes of the target: argmax of its logits; r = 2 / (1 + e^(-10 progress)) - 1; R as in DANN

    Args
        weight: trade-off of the adversarial term, dimensionless, >= 0
        hidden: width of the discriminator's two hidden layers, >= 1
        semantic: trade-off of the centroids' distance, >= 0; the term grows with the square of z
        decay: how much of a centroid stays at each step, in [0, 1)
    Shapes
        z (B, d), logits (B, K), y (B,); centroids (K, d), which `loss` moves in training mode
    Reference
        Xie et al. Learning Semantic Representations for Unsupervised Domain Adaptation. ICML 2018 (PMLR 80).
        Distance: the mean over classes and features of the authors' code (the paper: a sum). Departures: a class absent
        from the batch keeps its centroid (their code pulls it to 0), one seen for the first time takes the batch's
        mean, and the distance is over classes that both domains have seen; adversarial weight as in DANN (their
        code: 0.1 on a sum of two BCEs).
    """

    family = "adversarial"
    paper = "xie2018mstn"
    space = {**DANN.space, "semantic": [0.3, 1.0, 3.0, 10.0]}
    centroids_s: Tensor
    centroids_t: Tensor

    def __init__(self, weight: float = 1.0, hidden: int = 1024, semantic: float = 1.0, decay: float = 0.7) -> None:
        super().__init__(weight, hidden)
        self.semantic = semantic
        self.decay = decay

    def check(self) -> None:
        super().check()
        require_positive(self, "semantic", "decay", zero=True)
        if self.decay >= 1:
            raise DalibError(f"mstn.decay = {self.decay!r} is out of range; give a number in [0, 1)")

    def build(self, dim: int, num_classes: int) -> None:
        super().build(dim, num_classes)
        self.register_buffer("centroids_s", torch.zeros(num_classes, dim))
        self.register_buffer("centroids_t", torch.zeros(num_classes, dim))

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        c_s = move_class_means(self.centroids_s, source.z, source.y, 1 - self.decay)
        c_t = move_class_means(self.centroids_t, target.z, target.logits.argmax(1), 1 - self.decay)
        both = seen(c_s) & seen(c_t)
        distance = ((c_s - c_t).square().mean(1) * both).sum() / both.sum().clamp(min=1)
        if self.training:
            self.centroids_s.copy_(c_s.detach())
            self.centroids_t.copy_(c_t.detach())
        terms = super().loss(source, target, progress)
        return {**terms, "semantic": self.semantic * warm_up(progress) * distance}
