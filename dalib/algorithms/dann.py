"""Make features a domain discriminator cannot tell apart."""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.adversarial import DomainDiscriminator, reverse_gradient, warm_up


class DANN(Algorithm):
    """Domain-adversarial training through a gradient-reversal layer.

    loss = CE(logits_s, y_s) + weight * BCE(D(R(z)), domain)
    R reverses gradients and scales them by 2 / (1 + e^(-10 progress)) - 1

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Ganin et al. Domain-Adversarial Training of Neural Networks. JMLR 2016. arXiv:1505.07818.
        Departures: each domain counts half in the BCE whatever the batch sizes; D is 256 wide (the paper: 1024), has
        dropout and learns at 3 times the head's rate: 4 points better on the development pool (docs/recipe.md).
    """

    family = "adversarial"
    paper = "ganin2016dann"
    version = 3
    weight: float = positive(
        default=1.0, zero=True, search=(0.1, 0.3, 1.0, 3.0), doc="trade-off of the adversarial term"
    )
    hidden: int = whole(default=256, doc="width of the discriminator's two hidden layers")
    dropout: float = positive(default=0.5, zero=True, below=1, doc="of the discriminator's hidden layers; 0 = none")
    rate: float = positive(default=3.0, doc="factor on the recipe's lr for the discriminator")

    def build(self, dim: int, outputs: int) -> None:
        self.discriminator = DomainDiscriminator(dim, self.hidden, self.dropout)

    def own_rates(self) -> list[tuple[nn.Module, float]]:
        return [(self.discriminator, self.rate)]

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        z = reverse_gradient(torch.cat([source.z, target.z]), warm_up(progress))
        d_s, d_t = self.discriminator(z).split([len(source), len(target)])
        bce = (softplus(-d_s).mean() + softplus(d_t).mean()) / 2
        return {"adversarial": self.weight * bce}
