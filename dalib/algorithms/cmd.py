"""Match the moments of the two domains' features, order by order."""

from __future__ import annotations

from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.moments import central_moments


class CMD(Algorithm):
    """Central moment discrepancy.

    loss = CE(logits_s, y_s) + weight * (||E a_s - E a_t|| + sum_{k=2..moments} ||c_k(a_s) - c_k(a_t)||)
    a = sigmoid(z), within [0, 1];  c_k = E (a - E a)^k feature by feature

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Zellinger et al. Central Moment Discrepancy (CMD) for Domain-Invariant Representation Learning. ICLR 2017.
        arXiv:1702.08811. Departure: the paper's hidden layer is a sigmoid; here only the discrepancy sees sigmoid(z),
        as moments need a bounded interval and the bottleneck ends in a ReLU.
    """

    family = "discrepancy"
    paper = "zellinger2017cmd"

    weight: float = positive(
        default=1.0, zero=True, search=(0.3, 1.0, 3.0), doc="trade-off of the discrepancy, dimensionless"
    )
    moments: int = whole(default=5, search=(3, 5), doc="highest order")

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        distance = central_moments(source.z.sigmoid(), target.z.sigmoid(), self.moments)
        return {"discrepancy": self.weight * distance}
