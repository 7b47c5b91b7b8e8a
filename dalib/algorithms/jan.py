"""Pull together the two domains' joint distributions of features and predictions."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_choice, require_positive
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target
from dalib.nn.joint_discrepancy import JOINT_ESTIMATORS, joint_mmd2


class JAN(Algorithm):
    """Joint maximum mean discrepancy over features and class probabilities.

    loss = CE(logits_s, y_s) + weight * MMD²((z_s, p_s), (z_t, p_t)),  p = softmax(logits)
    k((z, p), (z', p')) = (sum of five Gaussians of z, as in MMD) * exp(-||p - p'||² / (2 sigma²))

    Args
        weight: trade-off of the discrepancy, dimensionless, >= 0
        sigma: bandwidth of the probabilities' kernel, > 0
        estimator: `unbiased` (may be negative) or `biased`
    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Long et al. Deep Transfer Learning with Joint Adaptation Networks. ICML 2017. arXiv:1605.06636.
        sigma: Transfer-Learning-Library's (the authors' code has 2 sigma² = 1.68). Departures: all pairs, in place of
        the linear-time estimate; no adversarial map of the layers (JAN-A).
    """

    family = "discrepancy"
    paper = "long2017jan"
    space = {"weight": [0.1, 0.3, 1.0, 3.0], "estimator": list(JOINT_ESTIMATORS)}

    def __init__(self, weight: float = 1.0, sigma: float = 0.92, estimator: str = "unbiased") -> None:
        super().__init__()
        self.weight = weight
        self.sigma = sigma
        self.estimator = estimator

    def check(self) -> None:
        require_positive(self, "weight", zero=True)
        require_positive(self, "sigma")
        require_choice(self, "estimator", JOINT_ESTIMATORS)

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        layers_s, layers_t = ([rows.z, rows.logits.softmax(1)] for rows in (source, target))
        distance = joint_mmd2(layers_s, layers_t, [None, [self.sigma**2]], self.estimator)
        return {
            "classification": cross_entropy(source.logits, source.y),
            "discrepancy": self.weight * distance,
        }
