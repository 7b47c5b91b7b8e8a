"""Confident predictions of a mild view of each target row are the labels of a strongly distorted one."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target


class FixMatch(Algorithm):
    """Pseudo-labels and consistency between two views of the target.

    loss = CE(logits_s, y_s) + weight * mean_i [max p_i >= threshold] CE(logits_strong_i, argmax p_i)
    p = softmax(logits_t), of the mild view, constant

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Sohn et al. FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence. NeurIPS 2020.
        arXiv:2001.07685. Defaults: the paper's; Transfer-Learning-Library's scripts for domain adaptation take a
        threshold of 0.9 (Office-31, Office-Home) or 0.8 (VisDA). Departures: as many target as source rows in a batch
        (the paper: 7 times, the library: 1 to 3 times); views as the recipe makes them (mild: `augment`; strong: crop,
        colours, Cutout, or dropout of features); no moving average of the weights.
    """

    family = "self-training"
    objectives = ("classification",)
    paper = "sohn2020fixmatch"
    views = 2

    weight: float = positive(
        default=1.0, zero=True, search=(0.3, 1.0, 3.0), doc="trade-off of the pseudo-labels, dimensionless"
    )
    threshold: float = positive(
        default=0.95,
        zero=True,
        most=1,
        search=(0.8, 0.9, 0.95),
        doc="least probability of a row that takes part; 0 = every row",
    )

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        confidence, label = target.logits.detach().softmax(1).max(1)
        each = cross_entropy(target.strong.logits, label, reduction="none")
        return {
            "consistency": self.weight * ((confidence >= self.threshold) * each).mean(),
        }
