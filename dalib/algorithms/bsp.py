"""Adversarial features that may not put everything into one direction."""

from __future__ import annotations

from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import choice, positive, state, whole
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Source, Target
from dalib.nn.spectrum import largest_squared_singular_value

BASES = ("dann", "cdan")


class BSP(Algorithm):
    """Batch spectral penalisation on top of domain-adversarial training.

    loss = loss of the base + beta * (sigma_1(Z_s)² + sigma_1(Z_t)²)
    sigma_1 = largest singular value of a batch's features (B, d)

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Chen et al. Transferability vs. Discriminability: Batch Spectral Penalization for Adversarial Domain Adaptation.
        ICML 2019. Departures: sigma_1² is the largest eigenvalue of the B × B Gram matrix, not of a singular value
        decomposition; no epochs on the source alone beforehand (Transfer-Learning-Library starts with three).
    """

    family = "adversarial"
    paper = "chen2019bsp"
    base: str = choice(default="dann", options=BASES, search=BASES, doc="`dann` or `cdan`, each with its own defaults")
    weight: float = positive(
        default=1.0,
        zero=True,
        search=(0.1, 0.3, 1.0, 3.0),
        doc="trade-off of the base's adversarial term, dimensionless",
    )
    hidden: int = whole(default=1024, doc="width of the discriminator's two hidden layers")
    beta: float = positive(
        default=1e-4,
        zero=True,
        search=(1e-5, 1e-4, 1e-3),
        doc="weight of the penalty; the term grows with B and the square of z",
    )
    adversary: Algorithm = state()

    def build(self, dim: int, outputs: int) -> None:
        self.attach_part("adversary", ALGORITHMS.get(self.base)(weight=self.weight, hidden=self.hidden))

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        spectral = largest_squared_singular_value(source.z) + largest_squared_singular_value(target.z)
        return {**self.adversary.adapt(source, target, progress), "spectral": self.beta * spectral}
