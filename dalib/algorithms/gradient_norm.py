"""Fine-tune towards weights around which the loss is flat: the norm of its gradient is penalised."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Algorithm, Minimise, Terms
from dalib.core.types import Source, Target
from dalib.nn.gradient_norm import carry_gradient, unit_step


class GradientNorm(Algorithm):
    """Gradient-norm penalty over all weights that are trained, to first order: no second derivatives.

    loss = L(w) + weight * ||g||,  L = CE(logits_s, y_s), g = gradient of L(w)
         ~ L(w) + weight / r * (L(w + r g / ||g||) - L(w)),  with r g / ||g|| constant: this is what is minimised

    Args
        weight: trade-off of the norm, in the unit of the weights, >= 0; with weight = r it is sharpness-aware
            minimisation
        r: length of the step along the gradient, in the unit of the weights, > 0
    Shapes
        x (B, *S), logits (B, K), y (B,)
    Reference
        Zhao et al. Penalizing Gradient Norm for Efficiently Improving Generalization in Deep Learning. ICML 2022.
        arXiv:2202.03599. Defaults: the authors' WideResNet scripts (there: r and alpha = weight / r = .8), training
        from scratch. The penalty is of the norm, not its square. Departures: the optimiser's weight decay acts on
        w + r g / ||g||; batch norms see the rows twice in a step.
    """

    family = "fine-tuning"
    paper = "zhao2022gradientnorm"
    space = {"weight": [0.01, 0.03, 0.08], "r": [0.05, 0.1]}
    uses_target = False

    def __init__(self, weight: float = 0.08, r: float = 0.1) -> None:
        super().__init__()
        self.weight = weight
        self.r = r

    def check(self) -> None:
        require_positive(self, "weight", zero=True)
        require_positive(self, "r")

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """L(w); `step` adds the penalty."""
        return {"classification": cross_entropy(source.logits, source.y)}

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        weights: list[Tensor] = [w for w in self.network.parameters() if w.requires_grad]
        here = self.loss(source, target, progress)["classification"]
        g = torch.autograd.grad(here, weights, allow_unused=True, materialize_grads=True)
        ahead = unit_step(g, self.r)
        self._move(weights, ahead, 1)
        there = self.loss(*minimise.forward(source, target), progress)["classification"]
        here = carry_gradient(here, g, weights)
        minimise({"classification": here, "gradient_norm": self.weight / self.r * (there - here)})
        self._move(weights, ahead, -1)

    @staticmethod
    @torch.no_grad()
    def _move(weights: list[Tensor], by: list[Tensor], sign: int) -> None:
        for w, e in zip(weights, by, strict=True):
            w.add_(e, alpha=sign)
