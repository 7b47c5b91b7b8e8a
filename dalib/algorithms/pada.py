"""DANN for a target that has only some of the source's classes: classes it does not predict count little."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from dalib.algorithms.dann import DANN
from dalib.core.algorithm import Terms, TrainerLike
from dalib.core.hyper import state
from dalib.core.types import Domain, Source, Target
from dalib.nn.adversarial import reverse_gradient, warm_up


class PADA(DANN):
    """Partial adversarial domain adaptation.

    loss = sum gamma_y CE(logits_s, y_s) / sum gamma_y + weight * (mean gamma_y BCE_s + mean BCE_t) / 2
    BCE of D(R(z)) as in DANN; gamma = mean softmax(logits) over the target, divided by its largest entry

    Shapes
        z (B, d), logits (B, K), y (B,); gamma (K,), computed before each pass over the target
    Reference
        Cao et al. Partial Adversarial Domain Adaptation. ECCV 2018. arXiv:1808.04205.
        The CE is divided by the batch's sum of weights as in the authors' code (the paper: by its size: it fades
        beside the adversarial term as classes lose weight). Departures: gamma is computed before each pass over the
        target (their code: every 500 steps, ones until then; a present class that it starves is hard to win back);
        divided by its largest entry over all classes (their adversarial term: over the rows of the batch, so that a
        batch without the likeliest classes weighs as much as any).
    """

    family = "adversarial"
    objectives = ("classification",)
    setting = "partial"
    paper = "cao2018pada"
    version = 4
    gamma: Tensor = state()

    def build(self, dim: int, outputs: int) -> None:
        super().build(dim, outputs)
        self.register_buffer("gamma", torch.ones(outputs))

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        gamma = trainer.outputs(self, target).p.mean(0)
        self.gamma.copy_(gamma / gamma.max())

    def supervise(self, source: Source) -> Tensor:
        w = self.gamma[source.y]
        return (w * cross_entropy(source.logits, source.y, reduction="none")).sum() / w.sum().clamp(min=1e-30)

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        z = reverse_gradient(torch.cat([source.z, target.z]), warm_up(progress))
        d_s, d_t = self.discriminator(z).split([len(source), len(target)])
        w = self.gamma[source.y]
        bce = ((w * softplus(-d_s)).mean() + softplus(d_t).mean()) / 2
        return {"adversarial": self.weight * bce}
