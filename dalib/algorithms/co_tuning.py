"""Fine-tune with the pretrained classifier kept, taught which of its classes each new class looks like."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.algorithms._pretrained import PretrainedHead
from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Terms, TrainerLike
from dalib.core.types import Domain, Source, Target
from dalib.nn.label_relation import class_relationship, soft_cross_entropy


class CoTuning(PretrainedHead):
    """Co-tuning: labels of the pretrained classes for every labelled row, by a relationship learned beforehand.

    loss = CE(logits_s, y_s) + weight * mean_i -sum_c R[y_i, c] log softmax(h(f(x_i)))_c,  h = the pretrained head
    R[y] = mean over labelled rows of class y of softmax(h(f(x)) / temperature), before training;  f = the backbone

    Args
        weight: trade-off of the second term, dimensionless, >= 0
        temperature: calibrates the pretrained head for R, > 0
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
    paper = "you2020cotuning"
    space = {"weight": [0.3, 1.0, 2.3], "temperature": [1.0, 1.13]}
    relationship: Tensor | None

    def __init__(self, weight: float = 2.3, temperature: float = 1.13) -> None:
        super().__init__()
        self.weight = weight
        self.temperature = temperature

    def check(self) -> None:
        require_positive(self, "weight", zero=True)
        require_positive(self, "temperature")

    def build(self, dim: int, num_classes: int) -> None:
        self.register_buffer("relationship", None)

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        self.begin()
        z, device = trainer.embed(self, source), self.network.head.weight.device
        with torch.no_grad():
            old = self.old_head(z.to(device))
        y = torch.as_tensor(source.labels).to(device)
        self.relationship = class_relationship(old, y, self.network.num_classes, self.temperature)
        trainer.descend(self, source, target)
        self.end()

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """Without the relationship, which `fit` learns, there is the first term only."""
        terms = {"classification": cross_entropy(source.logits, source.y)}
        if self.relationship is not None:
            soft = soft_cross_entropy(self.old_logits(source), self.relationship[source.y])
            terms["co_tuning"] = self.weight * soft
        return terms
