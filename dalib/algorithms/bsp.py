"""Adversarial features that may not put everything into one direction."""

from torch import Tensor, nn

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
    version = 3
    base: str = choice(default="dann", options=BASES, search=BASES, doc="with its own defaults")
    weight: float = positive(
        default=1.0, zero=True, search=(0.1, 0.3, 1.0, 3.0), doc="trade-off of the base's adversarial term"
    )
    hidden: int = whole(default=256, doc="width of the discriminator's two hidden layers")
    dropout: float = positive(default=0.5, zero=True, below=1, doc="of the discriminator's hidden layers; 0 = none")
    beta: float = positive(
        default=1e-4, zero=True, search=(1e-5, 1e-4, 1e-3), doc="weight of the penalty; it grows with B and z²"
    )
    adversary: Algorithm = state()

    def build(self, dim: int, outputs: int) -> None:
        base = ALGORITHMS.get(self.base)(weight=self.weight, hidden=self.hidden, dropout=self.dropout)
        self.attach_part("adversary", base)

    def own_rates(self) -> list[tuple[nn.Module, float]]:
        return self.adversary.own_rates()

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        spectral = largest_squared_singular_value(source.z) + largest_squared_singular_value(target.z)
        return {**self.adversary.adapt(source, target, progress), "spectral": self.beta * spectral}
