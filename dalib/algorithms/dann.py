"""Make features a domain discriminator cannot tell apart."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from dalib.algorithms._ranges import require_positive, require_whole
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target
from dalib.nn.adversarial import DomainDiscriminator, reverse_gradient, warm_up


class DANN(Algorithm):
    """Domain-adversarial training through a gradient-reversal layer.

    loss = CE(logits_s, y_s) + weight * BCE(D(R(z)), domain)
    R reverses gradients and scales them by 2 / (1 + e^(-10 progress)) - 1

    Args
        weight: trade-off of the adversarial term, dimensionless, >= 0
        hidden: width of the discriminator's two hidden layers, >= 1
    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Ganin et al. Domain-Adversarial Training of Neural Networks. JMLR 2016. arXiv:1505.07818.
        Departure: each domain counts half in the BCE whatever the batch sizes.
    """

    family = "adversarial"
    paper = "ganin2016dann"
    space = {"weight": [0.1, 0.3, 1.0, 3.0]}

    def __init__(self, weight: float = 1.0, hidden: int = 1024) -> None:
        super().__init__()
        self.weight = weight
        self.hidden = hidden

    def check(self) -> None:
        require_positive(self, "weight", zero=True)
        require_whole(self, "hidden")

    def build(self, dim: int, num_classes: int) -> None:
        self.discriminator = DomainDiscriminator(dim, int(self.hidden))

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        z = reverse_gradient(torch.cat([source.z, target.z]), warm_up(progress))
        d_s, d_t = self.discriminator(z).split([len(source), len(target)])
        bce = (softplus(-d_s).mean() + softplus(d_t).mean()) / 2
        return {"classification": cross_entropy(source.logits, source.y), "adversarial": self.weight * bce}
