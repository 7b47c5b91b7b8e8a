"""What keeps a critic close to 1-Lipschitz."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def lipschitz_points(z_s: Tensor, z_t: Tensor) -> Tensor:
    """z_s (n_s, d), z_t (n_t, d) -> both and m = min(n_s, n_t) points between them, (n_s + n_t + m, d), constant.

    The points are z_t_i + e_i (z_s_i - z_t_i) for the first m pairs, e_i uniform in [0, 1] from torch's generator.
    Shen et al. Wasserstein Distance Guided Representation Learning for Domain Adaptation. AAAI 2018. arXiv:1707.01217.
    """
    z_s, z_t = z_s.detach(), z_t.detach()
    m = min(len(z_s), len(z_t))
    e = torch.rand(m, 1, dtype=z_s.dtype, device=z_s.device)
    return torch.cat([z_s, z_t, z_t[:m] + e * (z_s[:m] - z_t[:m])])


def gradient_penalty(critic: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """mean_i (||grad f(z_i)|| - 1)², a scalar >= 0, for a critic f whose value for a row depends on that row only.

    z (n, d), taken as constant; the gradient for the critic's parameters takes a second backward pass and is finite
    where grad f = 0 too. Gulrajani et al. Improved Training of Wasserstein GANs. NeurIPS 2017. arXiv:1704.00028.
    """
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        (slope,) = torch.autograd.grad(critic(z).sum(), z, create_graph=True)
    return ((slope.square().sum(1) + 1e-12).sqrt() - 1).square().mean()
