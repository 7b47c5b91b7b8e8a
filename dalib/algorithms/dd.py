"""Make a second head unable to agree with the first on the source and disagree on the target, in numbers."""

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.adversarial import reverse_gradient, warm_up


class DD(Algorithm):
    """Disparity discrepancy for regression: MDD with the L1 distance of two heads' numbers in place of a margin.

    loss = supervised + weight * (margin * mean |h'(R(z_s)) - h_s| - mean |h'(R(z_t)) - h_t|)
    h = the main head's numbers, constant; R reverses gradients, times reversal * (2 / (1 + e^(-10 progress)) - 1)

    Shapes
        z (B, d), prediction (B, m), y (B, m)
    Reference
        Zhang et al. Bridging Theory and Algorithm for Domain Adaptation. ICML 2019. arXiv:1904.05801, as
        Transfer-Learning-Library has it for regression (margin 1, L1, reversal 0.1). Departures: h' ends in
        bound * tanh(. / bound), for nothing else keeps it from leaving without end (theirs ends in a sigmoid), so
        answers ought to be scaled (`train.answers`); the reversal follows progress, not a count of 1000 steps; the main
        head is the network's.
    """

    family = "adversarial"
    objectives = ("regression",)
    paper = "zhang2019mdd"
    weight: float = positive(default=1.0, zero=True, search=(0.3, 1.0, 3.0), doc="trade-off of the disparity")
    margin: float = positive(default=1.0, search=(1.0, 2.0, 4.0), doc="gamma, weight of the agreement on the source")
    reversal: float = positive(
        default=0.1, search=(0.03, 0.1, 0.3), doc="the reversal's coefficient at the end of training"
    )
    hidden: int = whole(default=256, doc="width of h', dim - hidden - m with ReLU")
    bound: float = positive(default=3.0, doc="largest number that h' gives, in units of the answers as trained")

    def build(self, dim: int, outputs: int) -> None:
        self.adversary = nn.Sequential(nn.Linear(dim, self.hidden), nn.ReLU(), nn.Linear(self.hidden, outputs))

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        z = reverse_gradient(torch.cat([source.z, target.z]), self.reversal * warm_up(progress))
        told = self.bound * (self.adversary(z) / self.bound).tanh()
        a_s, a_t = told.split([len(source), len(target)])
        near, far = ((a - h.detach()).abs().mean() for a, h in ((a_s, source.prediction), (a_t, target.prediction)))
        return {"disparity": self.weight * (self.margin * near - far)}
