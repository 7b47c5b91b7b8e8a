"""Adapt a trained model without the source by pseudo-labels, each as heavy as data and model trust it together."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.distributions import Dirichlet
from torch.nn.functional import one_hot

from dalib.algorithms._phases import SourceFirst
from dalib.core.algorithm import Minimise, Terms, TrainerLike
from dalib.core.errors import DalibError
from dalib.core.hyper import positive, state
from dalib.core.types import Domain, Source, Target
from dalib.nn.confidence import joint_confidence


class CoWA(SourceFirst):
    """Confidence score weighting adaptation: phase one on the source, phase two on the unlabelled target only.

    1  loss = CE(logits_s, y_s)
    2  loss = -mean_i w_i <y_i, log softmax(f(x_i))>,  (x, w, y)_i = l_i (x, w, y)_i + (1 - l_i) (x, w, y)_j(i)
    (y, w) = `joint_confidence` of the whole target, anew before each pass; j a random order, l ~ Beta(mixup, mixup)

    Shapes
        x (B, *S), z (B, d), logits (B, K), y (B,)
    Raises
        DalibError: input that cannot be mixed (token ids, several modalities) with mixup > 0
    Reference
        Lee et al. Confidence Score for Source-Free Unsupervised Domain Adaptation. ICML 2022. arXiv:2206.06520.
        Defaults and the head's rate as in the authors' Office-Home command. Departures: a ReLU behind the bottleneck;
        hard labels without mixup too; the recipe's schedule (theirs: constant); no smoothed labels in phase one.
    """

    family = "source-free"
    objectives = ("classification",)
    setting = "source-free"
    source_free = True
    paper = "lee2022cowa"
    mixup: float = positive(
        default=0.2, zero=True, search=(0.0, 0.2, 1.0), doc="both parameters of Beta; 0 = no mixing"
    )
    labels: Tensor | None = state()
    confidence: Tensor | None = state()
    both: Tensor = state()

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("labels", None)
        self.register_buffer("confidence", None)
        self.register_buffer("both", torch.full((2,), self.mixup), persistent=False)

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return super().rates(backbone_rate) + [(self.network.head, 0.1)] * self.adapting

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        if self.adapting:
            out = trainer.outputs(self, target)
            self.labels, self.confidence = (t.to(self.network.device) for t in joint_confidence(out.z, out.p))

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        if len(source) or not self.mixup:
            return super().step(source, target, progress, minimise)
        x, (w, y) = target.x, self._told(target)
        if isinstance(x, dict) or not x.is_floating_point():
            raise DalibError("cowa mixes inputs, and token ids or modalities cannot be mixed; set cowa.mixup = 0")
        other, both = torch.randperm(len(w)).to(w.device), self.both.expand(len(w), 2)
        part = Dirichlet(both, validate_args=False).sample()[:, 0].to(w)  # of two: Beta

        def mix(rows: Tensor) -> Tensor:
            share = part.view(-1, *[1] * (rows.ndim - 1)).to(rows.dtype)
            return share * rows + (1 - share) * rows[other]

        _, mixed = minimise.forward(source, replace(target, x=mix(x)))
        return minimise({"confident": _weighted(mixed.logits, mix(w), mix(y))})

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """Phase two's term of rows as they are."""
        return {"confident": _weighted(target.logits, *self._told(target))}

    def _told(self, target: Target) -> tuple[Tensor, Tensor]:
        if self.labels is None or self.confidence is None:
            y, w = joint_confidence(target.z.detach(), target.logits.detach().softmax(1))
        else:
            y, w = self.labels[target.index], self.confidence[target.index]
        return w, one_hot(y, self.network.outputs).to(w.dtype)


def _weighted(logits: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return -(w * (y * logits.log_softmax(1)).sum(1)).mean()
