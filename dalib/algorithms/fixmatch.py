"""Confident predictions of a mild view of each target row are the labels of a strongly distorted one."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.errors import DalibError
from dalib.core.types import Source, Target


class FixMatch(Algorithm):
    """Pseudo-labels and consistency between two views of the target.

    loss = CE(logits_s, y_s) + weight * mean_i [max p_i >= threshold] CE(logits_strong_i, argmax p_i)
    p = softmax(logits_t), of the mild view, constant

    Args
        weight: trade-off of the pseudo-labels, dimensionless, >= 0
        threshold: least probability of a row that takes part, in [0, 1]; 0 = every row
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
    paper = "sohn2020fixmatch"
    space = {"weight": [0.3, 1.0, 3.0], "threshold": [0.8, 0.9, 0.95]}
    views = 2

    def __init__(self, weight: float = 1.0, threshold: float = 0.95) -> None:
        super().__init__()
        self.weight = weight
        self.threshold = threshold

    def check(self) -> None:
        require_positive(self, "weight", "threshold", zero=True)
        if self.threshold > 1:
            raise DalibError(f"fixmatch.threshold = {self.threshold!r} is out of range; give a number in [0, 1]")

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        confidence, label = target.logits.detach().softmax(1).max(1)
        each = cross_entropy(target.strong.logits, label, reduction="none")
        return {
            "classification": cross_entropy(source.logits, source.y),
            "consistency": self.weight * ((confidence >= self.threshold) * each).mean(),
        }
