"""Adversarial features whose task loss is flat around the weights."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, Minimise, Terms
from dalib.core.hyper import choice, positive, state, whole
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Source, Target
from dalib.nn.sharpness import sharpest_perturbation

BASES = ("dann", "cdan", "cdan+mcc", "dann+mcc")


class SDAT(Algorithm):
    """Smooth domain-adversarial training: sharpness-aware minimisation of the task loss, but not of the adversarial.

    loss = task(w + e) + weight * adversarial(w + e),  e = rho * g / ||g||,  g = gradient of task(w), constant
    w = the network's weights; task = the base's terms but for the adversarial: CE(logits_s, y_s), + confusion with MCC

    Shapes
        x (B, *S), z (B, d), logits (B, K), y (B,)
    Reference
        Rangwani et al. A Closer Look at Smoothness in Domain Adversarial Training. ICML 2022. arXiv:2206.08213.
        rho: the authors' scripts for Office-Home (VisDA: 0.005 for CDAN, 0.02 with MCC; 0.05 where none is given).
        As there, batch norms see the rows twice in a step. Departures: the optimiser's weight decay acts on w + e,
        not w; frozen weights are not perturbed; MCC has its own paper's temperature of 2.5 (there 2).
    """

    family = "adversarial"
    paper = "rangwani2022sdat"
    undivided = "it perturbs the weights by the gradient of the whole loss"
    version = 3
    base: str = choice(default="cdan", options=BASES, search=BASES, doc="with its own defaults otherwise")
    weight: float = positive(
        default=1.0, zero=True, search=(0.3, 1.0, 3.0), doc="trade-off of the base's adversarial term"
    )
    hidden: int = whole(default=256, doc="width of the discriminator's two hidden layers")
    dropout: float = positive(default=0.5, zero=True, below=1, doc="of the discriminator's hidden layers; 0 = none")
    rho: float = positive(
        default=0.02, zero=True, search=(0.005, 0.02, 0.05), doc="length of the perturbation; 0 = the base alone"
    )
    base_algorithm: Algorithm = state()

    def build(self, dim: int, outputs: int) -> None:
        base = ALGORITHMS.get(self.base)
        own = {"hidden": self.hidden, "dropout": self.dropout}
        given = {name: own[last] for name in base.defaults() if (last := name.rpartition(".")[2]) in own}
        self.attach_part("base_algorithm", base(**given))

    def own_rates(self) -> list[tuple[nn.Module, float]]:
        return self.base_algorithm.own_rates()

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """The base's terms at the weights as they are; `step` perturbs them."""
        terms = self.base_algorithm.adapt(source, target, progress)
        return {name: self.weight * term if name == "adversarial" else term for name, term in terms.items()}

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        task = [term for name, term in self.loss(source, target, progress).items() if name != "adversarial"]
        weights = [w for w in self.network.parameters() if w.requires_grad]
        perturbation = sharpest_perturbation(torch.stack(task).sum(), weights, self.rho)
        self._move(weights, perturbation, 1)
        minimise(self.loss(*minimise.forward(source, target), progress))
        self._move(weights, perturbation, -1)

    @staticmethod
    @torch.no_grad()
    def _move(weights: Sequence[Tensor], by: Sequence[Tensor], sign: int) -> None:
        for w, e in zip(weights, by, strict=True):
            w.add_(e, alpha=sign)
