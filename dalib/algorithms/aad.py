"""Adapt a trained model without the source: near rows attract each other's predictions, all others disperse."""

import torch
from torch import Tensor

from dalib.algorithms._memory import TargetMemory
from dalib.core.algorithm import Terms
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.neighbours import agreement, dispersion, nearest_rows


class AaD(TargetMemory):
    """Attracting and dispersing: phase one on the source, phase two on the unlabelled target only.

    1  loss = CE(logits_s, y_s)
    2  loss = -mean_i sum_{j in C_i} <p_i, q_j> + (1 + 10 progress)^-decay * mean_i sum_{m != i} <p_i, p_m>
    C_i: the `neighbours` rows of the target nearest to i by cosine, q their stored predictions; m: rows of the batch

    Shapes
        z (B, d), logits (B, K), y (B,); memory: z (n, d) and p (n, K) of every target row
    Reference
        Yang et al. Attracting and Dispersing: A Simple Approach for Source-free Domain Adaptation. NeurIPS 2022.
        arXiv:2205.04183. Defaults: the authors' Office-31 command (Office-Home: decay 0). Departures: the recipe's
        learning rates, times 0.1 by default (3e-3; theirs 1e-3), and batch size, with which the second term grows
        (theirs: 64); no smoothed labels in phase one.
    """

    family = "source-free"
    setting = "source-free"
    paper = "yang2022aad"
    neighbours: int = whole(default=3, search=(2, 3, 5), doc="rows that attract")
    decay: float = positive(default=1.0, zero=True, search=(0.0, 1.0, 2.0, 5.0), doc="how fast dispersing fades")

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        p = target.logits.softmax(1)
        with torch.no_grad():
            z, memory_z, memory_p, own = self.remember(target)
            near = memory_p[nearest_rows(z, memory_z, own, self.neighbours)]
        return {
            "attract": -agreement(p, near),
            "disperse": (1 + 10 * progress) ** -self.decay * dispersion(p),
        }
