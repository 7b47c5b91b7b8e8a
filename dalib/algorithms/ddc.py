"""Pull the two domains' mean features together."""

from __future__ import annotations

from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.moments import mean_distance2


class DDC(Algorithm):
    """Deep domain confusion: the maximum mean discrepancy with a linear kernel.

    loss = CE(logits_s, y_s) + weight * ||mean z_s - mean z_t||²

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Tzeng et al. Deep Domain Confusion: Maximizing for Domain Invariance. 2014. arXiv:1412.3474.
        Departure: no search for the layer and the width of the bottleneck (the paper's is fc7, 256 wide).
    """

    family = "discrepancy"
    paper = "tzeng2014ddc"

    weight: float = positive(
        default=0.25,
        zero=True,
        search=(0.03, 0.1, 0.25, 1.0),
        doc="trade-off of the distance; the term grows with the width of z and the square of its scale",
    )

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {
            "discrepancy": self.weight * mean_distance2(source.z, target.z),
        }
