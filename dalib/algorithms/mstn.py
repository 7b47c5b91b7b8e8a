"""DANN that also pulls each class's centroids in the two domains together, the target's by its predicted labels."""

import torch
from torch import Tensor

from dalib.algorithms.dann import DANN
from dalib.core.algorithm import Terms
from dalib.core.hyper import positive, state
from dalib.core.types import Source, Target
from dalib.nn.adversarial import warm_up
from dalib.nn.prototypes import move_class_means, seen


class MSTN(DANN):
    """Moving semantic transfer network.

    loss = CE(logits_s, y_s) + weight * BCE(D(R(z)), domain) + semantic * r * mean_k ||c_s_k - c_t_k||² / d
    c_k = decay * c_k of the last step + (1 - decay) * mean z of the batch's rows of class k
    classes of the target: argmax of its logits; r = 2 / (1 + e^(-10 progress)) - 1; R as in DANN

    Shapes
        z (B, d), logits (B, K), y (B,); centroids (K, d), which `adapt` moves in training mode
    Reference
        Xie et al. Learning Semantic Representations for Unsupervised Domain Adaptation. ICML 2018 (PMLR 80).
        Distance: the mean over classes and features of the authors' code (the paper: a sum). Departures: a class absent
        from the batch keeps its centroid (their code pulls it to 0), one seen for the first time takes the batch's
        mean, and the distance is over classes that both domains have seen; adversarial weight as in DANN (their
        code: 0.1 on a sum of two BCEs); `semantic` 10 and, on features, a third of the recipe's learning rate: 3 points
        better on the development pool than 1 (docs/recipe.md).
    """

    family = "adversarial"
    objectives = ("classification",)
    paper = "xie2018mstn"
    version = 4
    recipe_on_features = {"lr": 0.01}
    semantic: float = positive(
        default=10.0, zero=True, search=(1.0, 3.0, 10.0, 30.0), doc="trade-off; the term grows with z²"
    )
    decay: float = positive(default=0.7, zero=True, below=1, doc="how much of a centroid stays at each step")
    centroids_s: Tensor = state()
    centroids_t: Tensor = state()

    def build(self, dim: int, outputs: int) -> None:
        super().build(dim, outputs)
        self.register_buffer("centroids_s", torch.zeros(outputs, dim))
        self.register_buffer("centroids_t", torch.zeros(outputs, dim))

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        c_s = move_class_means(self.centroids_s, source.z, source.y, 1 - self.decay)
        c_t = move_class_means(self.centroids_t, target.z, target.logits.argmax(1), 1 - self.decay)
        shared = seen(c_s) & seen(c_t)
        distance = ((c_s - c_t).square().mean(1) * shared).sum() / shared.sum().clamp(min=1)
        if self.training:
            self.centroids_s.copy_(c_s.detach())
            self.centroids_t.copy_(c_t.detach())
        terms = super().adapt(source, target, progress)
        return {**terms, "semantic": self.semantic * warm_up(progress) * distance}
