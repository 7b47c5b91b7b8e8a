"""Fine-tune with the pretrained classifier kept, taught which of its classes each new class looks like."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.algorithms._pretrained import PretrainedHead
from dalib.core.algorithm import Terms, TrainerLike
from dalib.core.hyper import positive, state
from dalib.core.types import Domain, Source, Target
from dalib.nn.label_relation import class_relationship, soft_cross_entropy


class CoTuning(PretrainedHead):
    """Co-tuning: labels of the pretrained classes for every labelled row, by a relationship learned beforehand.

    loss = CE(logits_s, y_s) + weight * mean_i -sum_c R[y_i, c] log softmax(h(f(x_i)))_c,  h = the pretrained head
    R[y] = mean over labelled rows of class y of softmax(h(f(x)) / temperature), before training;  f = the backbone

    Shapes
        x (B, *S), logits (B, K), y (B,); R (K, K_old)
    Raises
        DalibError: the backbone came without its classifier
    Reference
        You et al. Co-Tuning for Transfer Learning. NeurIPS 2020, with the authors' code and weight. R is their direct
        approach; their default is its Bayes-reversed form by a logistic regression tuned on validation rows, which a
        protocol with few labels has not. temperature: theirs for ResNet-50 on ImageNet's validation images, 1 / 0.884.
    """

    family = "fine-tuning"
    objectives = ("classification",)
    paper = "you2020cotuning"
    weight: float = positive(
        default=2.3, zero=True, search=(0.3, 1.0, 2.3), doc="trade-off of the second term, dimensionless"
    )
    temperature: float = positive(default=1.13, search=(1.0, 1.13), doc="calibrates the pretrained head for R")
    relationship: Tensor | None = state()

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("relationship", None)

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        self.begin()
        z, device = trainer.embed(self, source), self.network.device
        with torch.no_grad():
            old = self.old_head(z.to(device))
        y = torch.as_tensor(source.labels).to(device)
        self.relationship = class_relationship(old, y, self.network.outputs, self.temperature)
        trainer.descend(self, source, target)
        self.end()

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """Nothing without the relationship, which `fit` learns."""
        if self.relationship is None:
            return {}
        return {"co_tuning": self.weight * soft_cross_entropy(self.old_logits(source), self.relationship[source.y])}
