"""Pull together the two domains' joint distributions of features and predictions."""

from __future__ import annotations

from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import choice, positive
from dalib.core.types import Source, Target
from dalib.nn.joint_discrepancy import JOINT_ESTIMATORS, joint_mmd2


class JAN(Algorithm):
    """Joint maximum mean discrepancy over features and class probabilities.

    loss = CE(logits_s, y_s) + weight * MMD²((z_s, p_s), (z_t, p_t)),  p = softmax(logits)
    k((z, p), (z', p')) = (sum of five Gaussians of z, as in MMD) * exp(-||p - p'||² / (2 sigma²))

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Long et al. Deep Transfer Learning with Joint Adaptation Networks. ICML 2017. arXiv:1605.06636.
        sigma: Transfer-Learning-Library's (the authors' code has 2 sigma² = 1.68). Departures: all pairs, in place of
        the linear-time estimate; no adversarial map of the layers (JAN-A).
    """

    family = "discrepancy"
    objectives = ("classification",)
    paper = "long2017jan"

    weight: float = positive(
        default=1.0, zero=True, search=(0.1, 0.3, 1.0, 3.0), doc="trade-off of the discrepancy, dimensionless"
    )
    sigma: float = positive(default=0.92, doc="bandwidth of the probabilities' kernel")
    estimator: str = choice(
        default="unbiased",
        options=JOINT_ESTIMATORS,
        search=JOINT_ESTIMATORS,
        doc="`unbiased` (may be negative) or `biased`",
    )

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        layers_s, layers_t = ([rows.z, rows.logits.softmax(1)] for rows in (source, target))
        distance = joint_mmd2(layers_s, layers_t, [None, [self.sigma**2]], self.estimator)
        return {
            "discrepancy": self.weight * distance,
        }
