"""Give the classifier and the discriminator a helper each, and let both helpers fade while training."""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.adversarial import reverse_gradient, warm_up
from dalib.nn.entropy import entropy


class GVB(Algorithm):
    """Gradually vanishing bridges on both sides of an adversarial game about predictions (GVB-GD).

    loss = CE(g_s, y_s) + weight * BCE(D(R(p)) - S(R(p)), domain) + generator_bridge * mean |G(z)|
           + discriminator_bridge * mean |S(R(p))|
    g = logits - G(z), p = softmax(g); G, S bridges: G linear, S a second output of the discriminator D
    a row weighs e^(-H(p)), constant, scaled to sum 1 in each domain; R as in DANN; prediction: g

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Cui et al. Gradually Vanishing Bridge for Adversarial Domain Adaptation. CVPR 2020. arXiv:2003.13183.
        Departures: no gradient through the weights (the authors' code lets a reversed one through); no dropout in the
        discriminator; each domain counts half in the BCE whatever the batch sizes.
    """

    family = "adversarial"
    objectives = ("classification",)
    paper = "cui2020gvb"
    version = 2
    weight: float = positive(default=1.0, zero=True, search=(0.3, 1.0), doc="trade-off of the adversarial term")
    generator_bridge: float = positive(default=1.0, zero=True, search=(0.3, 1.0, 3.0), doc="the paper's lambda")
    discriminator_bridge: float = positive(default=1.0, zero=True, search=(0.3, 1.0, 3.0), doc="the paper's mu")
    hidden: int = whole(default=256, doc="width of the discriminator's two hidden layers")

    def build(self, dim: int, outputs: int) -> None:
        hidden = self.hidden
        self.bridge = nn.Linear(dim, outputs)
        self.discriminator = nn.Sequential(
            nn.Linear(outputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2)
        )

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        sizes = [len(source), len(target)]
        bridge = self.bridge(torch.cat([source.z, target.z]))
        g = torch.cat([source.logits, target.logits]) - bridge
        p = g.softmax(1)
        d, s = self.discriminator(reverse_gradient(p, warm_up(progress))).unbind(1)
        (d_s, d_t), (w_s, w_t) = (x.split(sizes) for x in (d - s, torch.exp(-entropy(p.detach()))))
        bce = ((w_s * softplus(-d_s)).sum() / w_s.sum() + (w_t * softplus(d_t)).sum() / w_t.sum()) / 2
        return {
            "adversarial": self.weight * bce,
            "generator_bridge": self.generator_bridge * bridge.abs().mean(),
            "discriminator_bridge": self.discriminator_bridge * s.abs().mean(),
        }

    def answer(self, z: Tensor, prediction: Tensor) -> Tensor:
        return prediction - self.bridge(z)
