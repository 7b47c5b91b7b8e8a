"""DANN whose features may not put everything into one direction."""

from __future__ import annotations

from torch import Tensor

from dalib.algorithms._ranges import require_positive
from dalib.algorithms.dann import DANN
from dalib.core.algorithm import Terms
from dalib.core.types import Source, Target
from dalib.nn.spectrum import largest_squared_singular_value


class BSP(DANN):
    """Batch spectral penalisation on top of domain-adversarial training.

    loss = CE(logits_s, y_s) + weight * BCE(D(R(z)), domain) + beta * (sigma_1(Z_s)² + sigma_1(Z_t)²)
    sigma_1 = largest singular value of a batch's features (B, d); R as in DANN

    Args
        weight: trade-off of the adversarial term, dimensionless, >= 0
        hidden: width of the discriminator's two hidden layers, >= 1
        beta: weight of the penalty, >= 0; the term grows with B and the square of z
    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Chen et al. Transferability vs. Discriminability: Batch Spectral Penalization for Adversarial Domain Adaptation.
        ICML 2019. Departures: sigma_1² is the largest eigenvalue of the B × B Gram matrix, not of a singular value
        decomposition; no epochs on the source alone beforehand (Transfer-Learning-Library starts with three).
    """

    family = "adversarial"
    paper = "chen2019bsp"
    space = {**DANN.space, "beta": [1e-5, 1e-4, 1e-3]}

    def __init__(self, weight: float = 1.0, hidden: int = 1024, beta: float = 1e-4) -> None:
        super().__init__(weight, hidden)
        self.beta = beta

    def check(self) -> None:
        super().check()
        require_positive(self, "beta", zero=True)

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        spectral = largest_squared_singular_value(source.z) + largest_squared_singular_value(target.z)
        return {**super().loss(source, target, progress), "spectral": self.beta * spectral}
