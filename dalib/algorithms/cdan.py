"""Make features and predictions together something a domain discriminator cannot tell apart."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from dalib.algorithms._ranges import require_choice, require_positive, require_whole
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target
from dalib.nn.adversarial import DomainDiscriminator, conditional_map, reverse_gradient, warm_up
from dalib.nn.entropy import entropy

MAPS = ("auto", "exact", "random")
LARGEST_EXACT = 4096
"""Largest d * K that `auto` maps exactly (section 3.2 of the paper)."""


class CDAN(Algorithm):
    """Conditional domain-adversarial training; with `entropy` (CDAN+E) certain rows count more.

    loss = CE(logits_s, y_s) + weight * BCE(D(R(T(z, p))), domain),  p = softmax(logits), constant
    T = z ⊗ p, or (z R_z) * (p R_p) / sqrt(random_dim) with fixed standard normal R_z, R_p; R reverses gradients
    CDAN+E: a row weighs 1 + e^(-H(p)), scaled to sum 1 in each domain

    Args
        weight: trade-off of the adversarial term, dimensionless, >= 0
        entropy: weigh rows by their certainty (CDAN+E)
        map: `exact`, `random`, or `auto` = exact up to d * K = 4096, as in the paper
        random_dim: width of the random map, >= 1
        hidden: width of the discriminator's two hidden layers, >= 1
    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Long et al. Conditional Adversarial Domain Adaptation. NeurIPS 2018. arXiv:1705.10667.
        Departures: no gradient through the entropy weights (as in Transfer-Learning-Library; the authors' code lets a
        reversed one through); each domain counts half in the BCE whatever the batch sizes.
    """

    family = "adversarial"
    paper = "long2018cdan"
    space = {"weight": [0.1, 0.3, 1.0, 3.0], "entropy": [False, True], "map": ["exact", "random"]}
    R_z: Tensor | None
    R_p: Tensor | None

    def __init__(
        self,
        weight: float = 1.0,
        entropy: bool = False,
        map: str = "auto",
        random_dim: int = 1024,
        hidden: int = 1024,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.entropy = entropy
        self.map = map
        self.random_dim = random_dim
        self.hidden = hidden

    def check(self) -> None:
        require_positive(self, "weight", zero=True)
        require_whole(self, "random_dim", "hidden")
        require_choice(self, "map", MAPS)

    def build(self, dim: int, num_classes: int) -> None:
        exact = self.map == "exact" or (self.map == "auto" and dim * num_classes <= LARGEST_EXACT)
        self.register_buffer("R_z", None if exact else torch.randn(dim, int(self.random_dim)))
        self.register_buffer("R_p", None if exact else torch.randn(num_classes, int(self.random_dim)))
        self.discriminator = DomainDiscriminator(dim * num_classes if exact else int(self.random_dim), int(self.hidden))

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        z = reverse_gradient(torch.cat([source.z, target.z]), warm_up(progress))
        p = torch.cat([source.logits, target.logits]).detach().softmax(1)
        maps = None if self.R_z is None or self.R_p is None else (self.R_z, self.R_p)
        d = self.discriminator(conditional_map(z, p, maps))
        w = 1 + torch.exp(-entropy(p)) if self.entropy else torch.ones_like(d)
        (d_s, d_t), (w_s, w_t) = (x.split([len(source), len(target)]) for x in (d, w))
        bce = ((w_s * softplus(-d_s)).sum() / w_s.sum() + (w_t * softplus(d_t)).sum() / w_t.sum()) / 2
        return {"classification": cross_entropy(source.logits, source.y), "adversarial": self.weight * bce}
