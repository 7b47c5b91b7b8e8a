"""Make features and predictions together something a domain discriminator cannot tell apart."""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import choice, flag, positive, state, whole
from dalib.core.types import Source, Target
from dalib.nn.adversarial import DomainDiscriminator, conditional_map, reverse_gradient, warm_up
from dalib.nn.entropy import entropy

MAPS = ("auto", "exact", "random")


class CDAN(Algorithm):
    """Conditional domain-adversarial training; with `entropy` (CDAN+E) certain rows count more.

    loss = CE(logits_s, y_s) + weight * BCE(D(R(T(z, p))), domain),  p = softmax(logits), constant
    T = z ⊗ p, or (z R_z) * (p R_p) / sqrt(random_dim) with fixed standard normal R_z, R_p; R reverses gradients
    CDAN+E: a row weighs 1 + e^(-H(p)), scaled to sum 1 in each domain

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Long et al. Conditional Adversarial Domain Adaptation. NeurIPS 2018. arXiv:1705.10667.
        Departures: no gradient through the entropy weights (as in Transfer-Learning-Library; the authors' code lets a
        reversed one through); each domain counts half in the BCE whatever the batch sizes; D as in DANN.
    """

    family = "adversarial"
    objectives = ("classification",)
    paper = "long2018cdan"
    version = 3
    weight: float = positive(
        default=1.0, zero=True, search=(0.1, 0.3, 1.0, 3.0), doc="trade-off of the adversarial term"
    )
    entropy: bool = flag(default=False, search=(False, True), doc="weigh rows by their certainty (CDAN+E)")
    map: str = choice(
        default="auto", options=MAPS, search=("exact", "random"), doc="`auto` = exact up to d * K = largest_exact"
    )
    largest_exact: int = whole(default=4096, doc="width d * K up to which `auto` maps exactly")
    random_dim: int = whole(default=1024, doc="width of the random map")
    hidden: int = whole(default=256, doc="width of the discriminator's two hidden layers")
    dropout: float = positive(default=0.5, zero=True, below=1, doc="of the discriminator's hidden layers; 0 = none")
    rate: float = positive(default=3.0, doc="factor on the recipe's lr for the discriminator")
    R_z: Tensor | None = state()
    R_p: Tensor | None = state()

    def build(self, dim: int, outputs: int) -> None:
        exact = self.map == "exact" or (self.map == "auto" and dim * outputs <= self.largest_exact)
        self.register_buffer("R_z", None if exact else torch.randn(dim, self.random_dim))
        self.register_buffer("R_p", None if exact else torch.randn(outputs, self.random_dim))
        self.discriminator = DomainDiscriminator(dim * outputs if exact else self.random_dim, self.hidden, self.dropout)

    def own_rates(self) -> list[tuple[nn.Module, float]]:
        return [(self.discriminator, self.rate)]

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        z = reverse_gradient(torch.cat([source.z, target.z]), warm_up(progress))
        p = torch.cat([source.logits, target.logits]).detach().softmax(1)
        maps = None if self.R_z is None or self.R_p is None else (self.R_z, self.R_p)
        d = self.discriminator(conditional_map(z, p, maps))
        w = 1 + torch.exp(-entropy(p)) if self.entropy else torch.ones_like(d)
        (d_s, d_t), (w_s, w_t) = (x.split([len(source), len(target)]) for x in (d, w))
        bce = ((w_s * softplus(-d_s)).sum() / w_s.sum() + (w_t * softplus(d_t)).sum() / w_t.sum()) / 2
        return {"adversarial": self.weight * bce}
