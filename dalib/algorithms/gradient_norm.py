"""Fine-tune towards weights around which the loss is flat: the norm of its gradient is penalised."""

import torch
from torch import Tensor

from dalib.core.algorithm import Algorithm, Minimise
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.gradient_norm import carry_gradient, unit_step


class GradientNorm(Algorithm):
    """Gradient-norm penalty over all weights that are trained, to first order: no second derivatives.

    loss = L(w) + weight * ||g||,  L = CE(logits_s, y_s), g = gradient of L(w)
         ~ L(w) + weight / r * (L(w + r g / ||g||) - L(w)),  with r g / ||g|| constant: this is what is minimised

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
    undivided = "its penalty is the gradient of the whole loss"
    uses_target = False
    weight: float = positive(
        default=0.08, zero=True, search=(0.01, 0.03, 0.08), doc="trade-off of the norm, in the unit of the weights"
    )
    r: float = positive(
        default=0.1, search=(0.05, 0.1), doc="length of the step along the gradient, in the unit of the weights"
    )

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        weights: list[Tensor] = [w for w in self.network.parameters() if w.requires_grad]
        here = self.supervise(source)
        g = torch.autograd.grad(here, weights, allow_unused=True, materialize_grads=True)
        ahead = unit_step(g, self.r)
        self._move(weights, ahead, 1)
        there = self.supervise(minimise.forward(source, target)[0])
        here = carry_gradient(here, g, weights)
        minimise({self.objective.name: here, "gradient_norm": self.weight / self.r * (there - here)})
        self._move(weights, ahead, -1)

    @staticmethod
    @torch.no_grad()
    def _move(weights: list[Tensor], by: list[Tensor], sign: int) -> None:
        for w, e in zip(weights, by, strict=True):
            w.add_(e, alpha=sign)
