"""Match the moments of the two domains' features, order by order."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive, require_whole
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target
from dalib.nn.moments import central_moments


class CMD(Algorithm):
    """Central moment discrepancy.

    loss = CE(logits_s, y_s) + weight * (||E a_s - E a_t|| + sum_{k=2..moments} ||c_k(a_s) - c_k(a_t)||)
    a = sigmoid(z), within [0, 1];  c_k = E (a - E a)^k feature by feature

    Args
        weight: trade-off of the discrepancy, dimensionless, >= 0
        moments: highest order, >= 1
    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Zellinger et al. Central Moment Discrepancy (CMD) for Domain-Invariant Representation Learning. ICLR 2017.
        arXiv:1702.08811. Departure: the paper's hidden layer is a sigmoid; here only the discrepancy sees sigmoid(z),
        as moments need a bounded interval and the bottleneck ends in a ReLU.
    """

    family = "discrepancy"
    paper = "zellinger2017cmd"
    space = {"weight": [0.3, 1.0, 3.0], "moments": [3, 5]}

    def __init__(self, weight: float = 1.0, moments: int = 5) -> None:
        super().__init__()
        self.weight = weight
        self.moments = moments

    def check(self) -> None:
        require_positive(self, "weight", zero=True)
        require_whole(self, "moments")

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        distance = central_moments(source.z.sigmoid(), target.z.sigmoid(), int(self.moments))
        return {"classification": cross_entropy(source.logits, source.y), "discrepancy": self.weight * distance}
