"""Train a second encoder so that a discriminator takes its target features for source features."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from dalib.algorithms._phases import SourceFirst
from dalib.algorithms._target_statistics import TargetStatistics
from dalib.core.algorithm import Minimise, Terms
from dalib.core.hyper import positive, whole
from dalib.core.rows import pick
from dalib.core.types import Source, Target
from dalib.nn.adversarial import DomainDiscriminator


class ADDA(SourceFirst, TargetStatistics):
    """Adversarial discriminative domain adaptation: an encoder per domain, one head.

    1  source encoder M_s and head:  loss = CE(logits_s, y_s);  then M_t := M_s, and M_s and the head are frozen
    2  D:    loss = -mean log D(M_s(x_s)) - mean log(1 - D(M_t(x_t)))
       M_t:  loss = -mean log D(M_t(x_t)), the inverted labels
    prediction: the head on M_t(x)

    Shapes
        x (B, *S), z (B, d), logits (B, K), y (B,)
    Reference
        Tzeng et al. Adversarial Discriminative Domain Adaptation. CVPR 2017. arXiv:1702.05464.
        Widths and rate: the authors' SVHN to MNIST. Departures: the recipe's optimiser; D moves before M_t in a step,
        not with it; M_s is applied in evaluation mode, M_t in a pass of its own over target rows, and it predicts with
        batch-norm statistics of the whole target.
    """

    family = "adversarial"
    rows_only = True
    paper = "tzeng2017adda"
    withholds = False
    hidden: int = whole(default=500, doc="width of the discriminator's two hidden layers")
    rate: float = positive(
        default=0.2, search=(0.03, 0.1, 0.2, 1.0), doc="factor on the target encoder's learning rates in phase two"
    )

    def build(self, dim: int, outputs: int) -> None:
        self.discriminator = DomainDiscriminator(dim, self.hidden)
        parts = self.network.backbone, self.network.bottleneck
        self.source_encoder = nn.Sequential(*map(copy.deepcopy, parts)).requires_grad_(False)

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        network, factor = self.network, self.rate if self.adapting else 1.0
        pairs = [(self, 1.0), (network.bottleneck, factor), (network.backbone, factor * backbone_rate)]
        return [*pairs, (network.head, 1.0 - self.adapting), (self.source_encoder, 0.0)]

    def begin(self) -> None:
        for kept, part in zip(self.source_encoder, (self.network.backbone, self.network.bottleneck), strict=True):
            kept.load_state_dict(part.state_dict())

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """Both sides of the game; `step` plays it."""
        return {"discriminator": self._tell(source, target), "fool": self._fool(target)}

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        if not self.adapting:
            super().step(source, target, progress, minimise)
            return
        nothing = Source(**{name: pick(value, slice(0)) for name, value in vars(source).items()})
        _, target = minimise.forward(nothing, target)
        minimise({"discriminator": self._tell(source, target)}, only=[self.discriminator])
        minimise({"fool": self._fool(target)}, only=[self.network.backbone, self.network.bottleneck])

    def _tell(self, source: Source, target: Target) -> Tensor:
        with torch.no_grad():
            z_s = self.source_encoder(source.x)
        return softplus(-self.discriminator(z_s)).mean() + softplus(self.discriminator(target.z.detach())).mean()

    def _fool(self, target: Target) -> Tensor:
        return softplus(-self.discriminator(target.z)).mean()
