"""The direction in which a loss rises fastest around the weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def sharpest_perturbation(loss: Tensor, parameters: Sequence[Tensor], rho: float) -> list[Tensor]:
    """rho * g / ||g||, one tensor per parameter, constant; g = gradient of the scalar loss, || || over all of them.

    A parameter that the loss does not depend on is not perturbed; where g = 0 nothing is. The loss's graph is used up.
    Foret et al. Sharpness-Aware Minimization for Efficiently Improving Generalization. ICLR 2021. arXiv:2010.01412.
    """
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    norm = torch.stack([g.norm() for g in gradients]).norm()
    scale = rho / norm.clamp(min=1e-12)
    return [(scale * g).detach() for g in gradients]  # PyTorch 2.4 has zeros that require a gradient
