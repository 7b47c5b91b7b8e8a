"""Distances between two samples of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dalib.nn.constants import constant
from dalib.nn.kernel_means import weigh_pairs, weighted_kernel_sum

ESTIMATORS = ("unbiased", "biased", "linear")
FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0)
"""Default bandwidths of `mmd2` as factors 2^k, k = -3 … 1, on the mean squared distance."""


def as_float(z: Tensor) -> Tensor:
    """At least single precision: half-precision input is cast up, float64 stays."""
    return z if z.dtype == torch.float64 else z.float()


def mean_squared_distance(z: Tensor) -> Tensor:
    """z (n, d) -> mean ||z_i - z_j||² over all n² pairs = 2 mean ||z_i - mean||²; detached, > 0 for constant z too."""
    z = z.detach()
    floor = 100 * torch.finfo(z.dtype).eps ** 2 * z.square().sum(1).mean() + 1e-30
    return 2 * (z - z.mean(0)).square().sum(1).mean() + floor


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """a (n, d), b (m, d) -> ||a_i - b_j||² (n, m) from one matrix product, >= 0; more exact on centred rows."""
    return (a.square().sum(1)[:, None] + b.square().sum(1)[None] - 2 * a @ b.T).clamp(min=0)


def mmd2(
    z_s: Tensor, z_t: Tensor, bandwidths: Sequence[float] | Tensor | None = None, estimator: str = "unbiased"
) -> Tensor:
    """Squared maximum mean discrepancy with a sum of Gaussian kernels, a scalar.

    k(a, b) = sum_u exp(-||a - b||² / (2 sigma_u²))
    biased    mean k(s, s') + mean k(t, t') - 2 mean k(s, t), >= 0
    unbiased  the same without the pairs i = j in the first two means; may be negative
    linear    mean over quadruples of k(s1, s2) + k(t1, t2) - k(s1, t2) - k(s2, t1), O(n); may be negative

    Args
        z_s, z_t: (n_s, d), (n_t, d); sizes may differ. `linear` uses the first min(n_s, n_t) rows of each, rounded down
            to an even number
        bandwidths: sigma_u²; None = 2^k, k = -3 … 1, times the mean squared distance of the pooled rows, detached
    Raises
        ValueError: unknown estimator
    Reference
        Long et al. Learning Transferable Features with Deep Adaptation Networks. ICML 2015. arXiv:1502.02791.
        Departures: kernels are summed with equal weights, as in Transfer-Learning-Library, not weighted by a quadratic
        programme; half-precision input is cast to fp32.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"no MMD estimator named {estimator!r}; known: {', '.join(ESTIMATORS)}")
    z_s, z_t = as_float(z_s), as_float(z_t)
    if estimator != "linear":
        return weighted_kernel_sum(weigh_pairs(z_s, z_t, estimator), [z_s], [z_t], [kernel_scale(z_s, bandwidths)])
    z = torch.cat([z_s, z_t])
    n, m = len(z_s), len(z_t)
    scale = kernel_scale(z, bandwidths)
    if scale is None:
        scale = -0.5 / (mean_squared_distance(z) * constant(FACTORS, z.dtype, z.device))
    h = min(n, m) // 2
    s, t = z[: 2 * h], z[n : n + 2 * h]
    pairs = ((s[::2], s[1::2]), (t[::2], t[1::2]), (s[::2], t[1::2]), (s[1::2], t[::2]))
    ss, tt, st, ts = (_kernel((a - b).square().sum(1), scale) for a, b in pairs)
    return (ss + tt - st - ts).sum() / max(h, 1)


def compare_means(k: Tensor, n: int, estimator: str) -> Tensor:
    """Kernel matrix k (n + m, n + m) of pooled rows -> MMD² between the first n rows and the rest; see `mmd2`."""
    within = (k[:n, :n], k[n:, n:])
    cross = 2 * k[:n, n:].mean()
    if estimator == "biased":
        return within[0].mean() + within[1].mean() - cross
    return sum((w.sum() - w.diagonal().sum()) / max(len(w) * (len(w) - 1), 1) for w in within) - cross


def kernel_scale(z: Tensor, bandwidths: Sequence[float] | Tensor | None) -> Tensor | None:
    """-1 / (2 sigma_u²) (U,) of given bandwidths, for `weighted_kernel_sum` over rows z; None = the default ones."""
    if bandwidths is None:
        return None
    return -0.5 / torch.as_tensor(bandwidths, dtype=z.dtype, device=z.device)


def _kernel(squared: Tensor, scale: Tensor) -> Tensor:
    """sum_u exp(scale_u * squared)."""
    return (squared[..., None] * scale).exp().sum(-1)


def covariance(z: Tensor) -> Tensor:
    """z (n, d) -> (d, d), centred, divided by n - 1 (by 1 if n = 1), fp32 or float64."""
    z = as_float(z)
    z = z - z.mean(0)
    return z.T @ z / max(len(z) - 1, 1)


def coral_distance(z_s: Tensor, z_t: Tensor) -> Tensor:
    """||C_s - C_t||²_F / (4 d²), C = covariance with n - 1; z_s (n_s, d), z_t (n_t, d) -> a scalar >= 0.

    Sun & Saenko. Deep CORAL. ECCV workshops 2016. arXiv:1607.01719 (eq. 1-3). Departure: rows are centred before the
    product (the paper's one-pass form cancels badly at large means); half-precision input is cast to fp32.
    """
    value: Tensor = _CoralDistance.apply(as_float(z_s), as_float(z_t))[0]
    return value


class _CoralDistance(torch.autograd.Function):
    """The value, C_s - C_t and both centred samples; d value / d z_s = (z_s - m_s) (C_s - C_t) / (d² (n_s - 1))."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z_s: Tensor, z_t: Tensor) -> tuple[Tensor, ...]:
        s, t = z_s - z_s.mean(0), z_t - z_t.mean(0)
        a, b = (1 / max(len(z) - 1, 1) for z in (s, t))
        gap = (s.T @ s).mul_(a).sub_((t.T @ t).mul_(b))
        return gap.square().sum() / (4 * s.shape[1] ** 2), gap, s, t

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*output[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        gap, s, t = ctx.saved_tensors
        if gradient is None:
            return None, None
        a, b = (gradient / (len(gap) ** 2 * max(len(z) - 1, 1)) for z in (s, t))
        return (s @ gap).mul_(a), (t @ gap).mul_(-b)
