"""Take confident predictions of the target for labels, more and more as training goes on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.errors import DalibError
from dalib.core.hyper import positive
from dalib.core.types import Source, Target


class PseudoLabel(Algorithm):
    """Self-training on the batch's own predictions.

    loss = CE(logits_s, y_s) + alpha * mean_i [max p_i >= threshold] CE(logits_t_i, argmax p_i),  p = softmax(logits_t)
    alpha = weight * (progress - start) / (end - start), no less than 0 and no more than weight

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Lee. Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks. ICML
        workshop 2013. The weight is the paper's. Departures: the threshold (every row takes part there), because under
        a shift uncertain rows are often wrong; start and end are parts of training, as if the paper's epochs 100 and
        600 were of 1000; softmax and cross-entropy for K sigmoids.
    """

    family = "self-training"
    objectives = ("classification",)
    paper = "lee2013pseudolabel"

    weight: float = positive(
        default=3.0, zero=True, search=(0.3, 1.0, 3.0), doc="largest trade-off of the pseudo-labels, dimensionless"
    )
    threshold: float = positive(
        default=0.95,
        zero=True,
        most=1,
        search=(0.0, 0.8, 0.95),
        doc="least probability of a row that takes part; 0 = every row",
    )
    start: float = positive(
        default=0.1, zero=True, doc="parts of training between which alpha rises, 0 <= start < end <= 1"
    )
    end: float = positive(default=0.6, doc="parts of training between which alpha rises, 0 <= start < end <= 1")

    def check(self) -> None:
        super().check()
        if not self.start < self.end <= 1:
            raise DalibError(f"pseudo_label.start, end = {self.start!r}, {self.end!r}; give 0 <= start < end <= 1")

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        confidence, label = target.logits.detach().softmax(1).max(1)
        part = torch.as_tensor((progress - self.start) / (self.end - self.start)).clamp(0, 1)
        each = cross_entropy(target.logits, label, reduction="none")
        return {
            "pseudo_label": self.weight * part * ((confidence >= self.threshold) * each).mean(),
        }
