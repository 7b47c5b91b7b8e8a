"""Train a second encoder so that a discriminator takes its target features for source features."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from dalib.algorithms._phases import SourceFirst
from dalib.algorithms._target_statistics import TargetStatistics
from dalib.core.algorithm import Minimise, Terms
from dalib.core.hyper import choice, positive, whole
from dalib.core.rows import pick
from dalib.core.types import Source, Target
from dalib.nn.adversarial import DomainDiscriminator


class ADDA(SourceFirst, TargetStatistics):
    """Adversarial discriminative domain adaptation: an encoder per domain, one head.

    1  source encoder M_s and head:  loss = CE(logits_s, y_s);  then M_t := M_s, and M_s and the head are frozen;
       with `sees = "logits"` the head is a part of both encoders
    2  D:    loss = -mean log D(M_s(x_s)) - mean log(1 - D(M_t(x_t)))
       M_t:  loss = -mean log D(M_t(x_t)), the inverted labels
    prediction: the head on M_t(x)

    Shapes
        x (B, *S), z (B, d), logits (B, K), y (B,)
    Reference
        Tzeng et al. Adversarial Discriminative Domain Adaptation. CVPR 2017. arXiv:1702.05464.
        Widths, rates and Adam with a first beta of 0.5 as in the authors' code for SVHN to MNIST: by SGD with momentum
        and by Adam with 0.9 it collapses on digits (docs/results.md). On features SGD does no harm, and stays. Their
        code shows D the logits and moves the head with M_t: `sees = "logits"`.
        Departures: beta is 0.5 in phase one too, and D keeps phase one's rate; rates fall by the recipe's schedule; D
        moves before M_t in a step, not with it; M_s is applied in evaluation mode, M_t in a pass of its own over target
        rows, and it predicts with batch-norm statistics of the whole target.
    """

    family = "adversarial"
    rows_only = True
    paper = "tzeng2017adda"
    recipe = {"optimiser": "adamw", "lr": 0.001, "beta1": 0.5}
    recipe_on_features = {"optimiser": "sgd", "lr": 0.03, "beta1": 0.9}
    withholds = False
    hidden: int = whole(default=500, doc="width of the discriminator's two hidden layers")
    rate: float = positive(
        default=0.2, search=(0.03, 0.1, 0.2, 1.0), doc="factor on the target encoder's learning rates in phase two"
    )
    sees: str = choice(
        default="z",
        options=("z", "logits"),
        search=("z", "logits"),
        doc="what M gives; `logits`: the head included",
    )

    def build(self, dim: int, outputs: int) -> None:
        self.discriminator = DomainDiscriminator(outputs if self.sees == "logits" else dim, self.hidden)
        self.source_encoder = nn.Sequential(*map(copy.deepcopy, self._encoder())).requires_grad_(False)

    def _encoder(self) -> list[nn.Module]:
        """The parts of the network that become M_t."""
        parts = [self.network.backbone, self.network.bottleneck]
        return [*parts, self.network.head] if self.sees == "logits" else parts

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        network, factor = self.network, self.rate if self.adapting else 1.0
        pairs = [(self, 1.0), (network.bottleneck, factor), (network.backbone, factor * backbone_rate)]
        head = factor if self.sees == "logits" else 1.0 - self.adapting
        return [*pairs, (network.head, head), (self.source_encoder, 0.0)]

    def begin(self) -> None:
        for kept, part in zip(self.source_encoder, self._encoder(), strict=True):
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
        minimise({"fool": self._fool(target)}, only=self._encoder())

    def _tell(self, source: Source, target: Target) -> Tensor:
        with torch.no_grad():
            m_s = self.source_encoder(source.x)
        m_t = self._of(target).detach()
        return softplus(-self.discriminator(m_s)).mean() + softplus(self.discriminator(m_t)).mean()

    def _fool(self, target: Target) -> Tensor:
        return softplus(-self.discriminator(self._of(target))).mean()

    def _of(self, target: Target) -> Tensor:
        """M_t(x_t)."""
        return target.prediction if self.sees == "logits" else target.z
