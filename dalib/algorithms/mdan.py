"""One discriminator per source domain; the source that is hardest at the moment is learned from and aligned most."""

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, softplus

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import flag, positive, whole
from dalib.core.types import Source, Target
from dalib.nn.adversarial import DomainDiscriminator, reverse_gradient, warm_up
from dalib.nn.multi_source import origin_means


class MDAN(Algorithm):
    """Multi-source domain adversarial networks.

    loss = sum_i a_i * (CE_i + weight * BCE_i),  i source domains, BCE_i of D_i(R(z_i)) against D_i(R(z_t))
    a = softmax(gamma * (CE_i - weight * r * BCE_i)), constant: the gradient of log(sum_i e^(gamma * …)) / gamma
    hard: a_i = 1 for the largest CE_i - weight * r * BCE_i; R as in DANN, r its 2 / (1 + e^(-10 progress)) - 1

    Shapes
        z (B, d), logits (B, K), y (B,), origin (B,): which source a row is from
    Reference
        Zhao et al. Adversarial Multiple Source Domain Adaptation. NeurIPS 2018.
        Departures: the sign inside the maximum is the paper's (the authors' code adds BCE_i there); weight and rising R
        as in DANN (their code: 0.01 and a constant R, for reviews); each domain counts half in a BCE; batches hold the
        sources in proportion to their sizes, and a source absent from one has a_i = 0.
    """

    family = "adversarial"
    setting = "multi-source"
    paper = "zhao2018mdan"
    lives_on = {"a second source": "dann"}
    version = 2
    alone = "how much a source is learned from depends on how far it is from the target"
    weight: float = positive(
        default=1.0, zero=True, search=(0.01, 0.1, 0.3, 1.0), doc="trade-off of the adversarial terms"
    )
    hard: bool = flag(default=False, search=(False, True), doc="only the worst source, not a smooth maximum")
    gamma: float = positive(default=10.0, search=(1.0, 10.0), doc="sharpness of the smooth maximum")
    hidden: int = whole(default=256, doc="width of each discriminator's two hidden layers")

    def build(self, dim: int, outputs: int) -> None:
        self.discriminators = nn.ModuleList(DomainDiscriminator(dim, self.hidden) for _ in range(self.network.origins))

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        r, n = warm_up(progress), len(self.discriminators)
        z = reverse_gradient(torch.cat([source.z, target.z]), r)
        d_s, d_t = torch.stack([D(z) for D in self.discriminators], 1).split([len(source), len(target)])
        own = d_s.gather(1, source.origin[:, None]).squeeze(1)
        bce_s, present = origin_means(softplus(-own), source.origin, n)
        bce = (bce_s + softplus(d_t).mean(0)) / 2
        ce, _ = origin_means(self.objective.row_losses(source.prediction, source.y), source.origin, n)
        v = (ce - self.weight * r * bce).detach().masked_fill(~present, -torch.inf)
        a = one_hot(v.argmax(), n).to(v.dtype) if self.hard else (self.gamma * v).softmax(0)
        return {self.objective.name: (a * ce).sum(), "adversarial": self.weight * (a * bce).sum()}
