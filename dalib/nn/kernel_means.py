"""Weighted sums of Gaussian kernels over pairs of rows, with their gradient in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from dalib.nn.constants import blocks
from dalib.nn.known_gradients import with_gradients


def weigh_pairs(z_s: Tensor, z_t: Tensor, estimator: str) -> Tensor:
    """Weights (N, N) of pairs of the pooled N = n + m rows whose sum over a kernel is the MMD² of the two samples.

    biased    within a domain of n rows 1 / n², between the domains -1 / (n m)
    unbiased  within a domain 1 / (n (n - 1)), 0 on the diagonal

    One of the `blocks` that are kept: never changed in place.
    """
    n, m = len(z_s), len(z_t)
    less = 0 if estimator == "biased" else 1
    values = 1 / max(n * (n - less), 1), -1 / max(n * m, 1), 1 / max(m * (m - less), 1)
    return blocks((n, m), values, less == 1, z_s.dtype, z_s.device)


def weighted_kernel_sum(
    w: Tensor, layers_s: Sequence[Tensor], layers_t: Sequence[Tensor], scales: Sequence[Tensor | None]
) -> Tensor:
    """sum_ij w_ij prod_l sum_u exp(scale_lu * ||z_i^l - z_j^l||²), a scalar; differentiable once, in the layers only.

    z = rows of both samples, pooled: layers_s (n, d_l) and layers_t (N - n, d_l) each; w (N, N) symmetric, constant;
    scales: (U_l,) < 0 each, constant; all of one dtype. None: five scales from -1 / (4 s) on, doubling, with
    s = `mean_squared_distance` of the layer: one exponential, then squares.
    Two matrix products per layer: with Q_ij = -4 w_ij times the kernel's derivative by the squared distance, the
    gradient by z_i is sum_j Q_ij (z_j - z_i), computed beside the value unless gradients are switched off.
    """
    with torch.no_grad():
        rows, kernels, pulls = zip(*map(_evaluate_kernel, layers_s, layers_t, scales), strict=True)
        weights = [reduce(torch.mul, kernels[:i] + kernels[i + 1 :], w) for i in range(len(kernels))]
        value = (weights[0] * kernels[0]).sum()

    def differentiate() -> list[Tensor]:
        gradients, n = [], len(layers_s[0])
        for c, weight, pull in zip(rows, weights, pulls, strict=True):
            Q = weight * pull
            Q.diagonal().sub_(Q.sum(1))
            gradients.append(Q @ c)
        return [g[:n] for g in gradients] + [g[n:] for g in gradients]

    return with_gradients(value, [*layers_s, *layers_t], differentiate)


def _evaluate_kernel(s: Tensor, t: Tensor, scale: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """A layer -> its pooled rows (N, d), centred; its kernel and -4 times its derivative by the distance (N, N)."""
    c = torch.cat([s, t])
    total, N = c.sum(0), len(c)
    c.sub_(total, alpha=1 / N)
    inner = c @ c.T
    square = inner.diagonal()
    distance = (square[:, None] + square).sub_(inner, alpha=2).relu_()
    if scale is not None:
        return c, *sum_gaussians(distance, scale)
    floor = total.dot(total).mul_(100 * torch.finfo(c.dtype).eps ** 2 / N**2).add_(1e-30)
    return c, *sum_doubling_gaussians(distance, floor.add_(distance.sum(), alpha=1 / N**2))


def sum_gaussians(distance: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """sum_u exp(scale_u * distance) and -4 times its derivative by the distance; scale (U,), U >= 1."""
    terms = [(factor * -4, (factor * distance).exp_()) for factor in scale.unbind()]
    return reduce(torch.add, (e for _, e in terms)), reduce(torch.add, (slope * e for slope, e in terms))


def sum_doubling_gaussians(distance: Tensor, spread: Tensor, doublings: int = 4) -> tuple[Tensor, Tensor]:
    """sum_k exp(-2^k distance / (4 spread)), k = 0 … doublings >= 1, and -4 times its derivative by the distance."""
    e = distance.div(spread).mul_(-0.25).exp_()
    power = e * e
    kernel, pull = e + power, e.add(power, alpha=2)
    for k in range(2, doublings + 1):
        power.mul_(power)
        kernel.add_(power)
        pull.add_(power, alpha=2**k)
    return kernel, pull.div_(spread)
