"""Make a second head unable to agree with the first on the source and disagree on the target."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.adversarial import margin_disparity, reverse_gradient, warm_up


class MDD(Algorithm):
    """Margin disparity discrepancy with an adversarial head h' behind a gradient reversal.

    loss = CE(logits_s, y_s) + weight * (margin * CE(h'(R(z_s)), h_s) - mean log(1 - softmax(h'(R(z_t)))_[h_t]))
    h = argmax of the main head, constant; R reverses gradients, times reversal * (2 / (1 + e^(-10 progress)) - 1)

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Zhang et al. Bridging Theory and Algorithm for Domain Adaptation. ICML 2019. arXiv:1904.05801.
        Departures: the main head is the network's linear one, without hidden layer (the paper has two equal heads,
        d-1024-K, on a 1024-wide bottleneck); no dropout; the reversal follows progress, not a count of 1000 steps.
    """

    family = "adversarial"
    objectives = ("classification",)
    paper = "zhang2019mdd"

    weight: float = positive(
        default=1.0, zero=True, search=(0.3, 1.0, 3.0), doc="trade-off of the disparity, dimensionless"
    )
    margin: float = positive(default=4.0, search=(2.0, 4.0), doc="gamma, weight of the agreement on the source")
    reversal: float = positive(
        default=0.1, search=(0.03, 0.1, 0.3), doc="the reversal's coefficient at the end of training"
    )
    hidden: int = whole(default=1024, doc="width of h', dim - hidden - K with ReLU")

    def build(self, dim: int, outputs: int) -> None:
        hidden = self.hidden
        self.adversary = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, outputs))

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        z = reverse_gradient(torch.cat([source.z, target.z]), self.reversal * warm_up(progress))
        a_s, a_t = self.adversary(z).split([len(source), len(target)])
        disparity = margin_disparity(source.logits, target.logits, a_s, a_t, self.margin)
        return {"disparity": self.weight * disparity}
