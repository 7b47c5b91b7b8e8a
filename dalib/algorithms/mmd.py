"""Pull the two domains' features together under several Gaussian kernels."""

from __future__ import annotations

from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import choice, positive
from dalib.core.types import Source, Target
from dalib.nn.discrepancy import ESTIMATORS, mmd2


class MMD(Algorithm):
    """Maximum mean discrepancy with five Gaussian kernels (the deep adaptation network's loss at one layer).

    loss = CE(logits_s, y_s) + weight * MMD²(z_s, z_t),  k(a, b) = sum_u exp(-||a - b||² / (2 sigma_u²))
    sigma_u² = 2^u * mean ||z_i - z_j||² over the pooled batch, constant, u = -3 … 1

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Long et al. Learning Transferable Features with Deep Adaptation Networks. ICML 2015. arXiv:1502.02791.
        Departures: one layer, z, where the paper takes several; kernels weigh the same; all pairs by default.
    """

    family = "discrepancy"
    paper = "long2015dan"

    weight: float = positive(
        default=1.0, zero=True, search=(0.1, 0.3, 1.0, 3.0), doc="trade-off of the discrepancy, dimensionless"
    )
    estimator: str = choice(
        default="unbiased",
        options=ESTIMATORS,
        search=ESTIMATORS,
        doc="`unbiased` (may be negative), `biased`, or `linear` (the paper's O(B) estimate: noisier)",
    )

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {
            "discrepancy": self.weight * mmd2(source.z, target.z, estimator=self.estimator),
        }
