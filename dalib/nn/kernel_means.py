"""Weighted sums of Gaussian kernels over pairs of rows, with their gradient in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def weigh_pairs(z_s: Tensor, z_t: Tensor, estimator: str) -> Tensor:
    """Weights (N, N) of pairs of the pooled N = n + m rows whose sum over a kernel is the MMD² of the two samples.

    biased    within a domain of n rows 1 / n², between the domains -1 / (n m)
    unbiased  within a domain 1 / (n (n - 1)), 0 on the diagonal
    """
    n, m = len(z_s), len(z_t)
    w = z_s.new_full((n + m, n + m), -1 / max(n * m, 1))
    less = 0 if estimator == "biased" else 1
    w[:n, :n] = 1 / max(n * (n - less), 1)
    w[n:, n:] = 1 / max(m * (m - less), 1)
    return w.fill_diagonal_(0) if less else w


def weighted_kernel_sum(
    w: Tensor, layers_s: Sequence[Tensor], layers_t: Sequence[Tensor], scales: Sequence[Tensor | None]
) -> Tensor:
    """sum_ij w_ij prod_l sum_u exp(scale_lu * ||z_i^l - z_j^l||²), a scalar; differentiable once, in the layers only.

    z = rows of both samples, pooled: layers_s (n, d_l) and layers_t (N - n, d_l) each; w (N, N) symmetric, constant;
    scales: (U_l,) < 0 each, constant; all of one dtype. None: five scales from -1 / (4 s) on, doubling, with
    s = `mean_squared_distance` of the layer: one exponential, then squares.
    One matrix product forward and one backward per layer: with P_ij = w_ij times the kernel's derivative by the squared
    distance, the gradient is 4 (diag(P 1) - P) z.
    """
    value: Tensor = _KernelSum.apply(w, len(scales), *scales, *layers_s, *layers_t)[0]
    return value


def sum_gaussians(distance: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """sum_u exp(scale_u * distance) and its derivative by the distance; scale (U,)."""
    kernel, slope = torch.zeros_like(distance), torch.zeros_like(distance)
    for factor in scale.unbind():
        e = (factor * distance).exp()
        kernel, slope = kernel + e, slope + factor * e
    return kernel, slope


def sum_doubling_gaussians(distance: Tensor, scale: Tensor, doublings: int = 4) -> tuple[Tensor, Tensor]:
    """sum_k exp(2^k scale * distance), k = 0 … doublings, and its derivative by the distance; scale () < 0."""
    e = (scale * distance).exp()
    kernel, slope = e, e
    for k in range(1, doublings + 1):
        e = e * e
        kernel, slope = kernel + e, slope.add(e, alpha=2**k)
    return kernel, slope * scale


class _KernelSum(torch.autograd.Function):
    """w, layers, their scales, source rows, target rows -> the value, and every layer's P and centred rows."""

    generate_vmap_rule = True

    @staticmethod
    def forward(w: Tensor, count: int, *inputs: Any) -> tuple[Tensor, ...]:
        kernels, slopes, rows = [], [], []
        for scale, s, t in zip(inputs[:count], inputs[count : 2 * count], inputs[2 * count :], strict=True):
            z = torch.cat([s, t])
            mean = z.mean(0)
            c = z - mean
            square = c.square().sum(1)
            distance = torch.addmm(square[:, None] + square, c, c.T, alpha=-2).clamp(min=0)
            if scale is None:
                spread = square.mean()
                floor = 100 * torch.finfo(z.dtype).eps ** 2 * (spread + mean.square().sum()) + 1e-30
                kernel, slope = sum_doubling_gaussians(distance, -0.25 / (2 * spread + floor))
            else:
                kernel, slope = sum_gaussians(distance, scale)
            rows.append(c)
            kernels.append(kernel)
            slopes.append(w * slope)
        for i, kernel in enumerate(kernels):
            w = w * kernel
            slopes = [P if i == j else P * kernel for j, P in enumerate(slopes)]
        return w.sum(), *slopes, *rows

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.n = len(inputs[2 + inputs[1]])
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*output[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        count = len(ctx.saved_tensors) // 2
        found: list[Tensor | None] = [None] * (2 + 3 * count)
        if gradient is None:
            return tuple(found)
        for i, (P, c) in enumerate(zip(ctx.saved_tensors[:count], ctx.saved_tensors[count:], strict=True)):
            s, t = 2 + count + i, 2 + 2 * count + i
            if ctx.needs_input_grad[s] or ctx.needs_input_grad[t]:
                moved = torch.addmm(P.sum(1, keepdim=True) * c, P, c, beta=4, alpha=-4) * gradient
                found[s], found[t] = moved[: ctx.n], moved[ctx.n :]
        return tuple(found)
