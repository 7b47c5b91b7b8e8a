"""Adversarial features that may not put everything into one direction."""

from __future__ import annotations

from torch import Tensor

from dalib.algorithms._ranges import require_choice, require_positive, require_whole
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Source, Target
from dalib.nn.spectrum import largest_squared_singular_value

BASES = ("dann", "cdan")


class BSP(Algorithm):
    """Batch spectral penalisation on top of domain-adversarial training.

    loss = loss of the base + beta * (sigma_1(Z_s)² + sigma_1(Z_t)²)
    sigma_1 = largest singular value of a batch's features (B, d)

    Args
        base: `dann` or `cdan`, each with its own defaults
        weight: trade-off of the base's adversarial term, dimensionless, >= 0
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
    space = {"base": list(BASES), "weight": [0.1, 0.3, 1.0, 3.0], "beta": [1e-5, 1e-4, 1e-3]}
    adversary: Algorithm

    def __init__(self, base: str = "dann", weight: float = 1.0, hidden: int = 1024, beta: float = 1e-4) -> None:
        super().__init__()
        self.base = base
        self.weight = weight
        self.hidden = hidden
        self.beta = beta

    def check(self) -> None:
        require_choice(self, "base", BASES)
        require_positive(self, "weight", "beta", zero=True)
        require_whole(self, "hidden")

    def build(self, dim: int, num_classes: int) -> None:
        self.attach_part("adversary", ALGORITHMS.get(self.base)(weight=self.weight, hidden=self.hidden))

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        spectral = largest_squared_singular_value(source.z) + largest_squared_singular_value(target.z)
        return {**self.adversary.loss(source, target, progress), "spectral": self.beta * spectral}
