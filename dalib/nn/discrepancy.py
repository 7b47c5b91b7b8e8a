"""Distances between two samples of features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dalib.nn.constants import blocks, constant
from dalib.nn.kernel_means import weigh_pairs, weighted_kernel_sum
from dalib.nn.known_gradients import with_gradients

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
    if isinstance(bandwidths, Tensor):
        return -0.5 / bandwidths.to(z)
    return constant(tuple(-0.5 / sigma2 for sigma2 in bandwidths), z.dtype, z.device)


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

    Fewer rows than features: the same from inner products of the centred rows c, sum_ij w_ij (c_i · c_j)² / (4 d²),
    where w_ij is the product of 1 / (n_s - 1) for a source row and -1 / (n_t - 1) for a target row.

    Sun & Saenko. Deep CORAL. ECCV workshops 2016. arXiv:1607.01719 (eq. 1-3). Departure: rows are centred before the
    product (the paper's one-pass form cancels badly at large means); half-precision input is cast to fp32.
    """
    z_s, z_t = as_float(z_s), as_float(z_t)
    n, m, d = len(z_s), len(z_t), z_s.shape[1]
    a, b = 1 / max(n - 1, 1), -1 / max(m - 1, 1)
    with torch.no_grad():
        s, t = z_s - z_s.mean(0), z_t - z_t.mean(0)
        if n + m < d:
            c = torch.cat([s, t])
            inner = c @ c.T
            w = blocks((n, m), (a * a, a * b, b * b), False, c.dtype, c.device) * inner
            value = (w * inner).sum().clamp(min=0) / (4 * d**2)
        else:
            gap = (s.T @ s).mul_(a).add_((t.T @ t).mul_(b))
            value = gap.square().sum() / (4 * d**2)

    def differentiate() -> tuple[Tensor, ...]:
        if n + m < d:
            return (w @ c).div_(d**2).split([n, m])
        return (s @ gap).mul_(a / d**2), (t @ gap).mul_(b / d**2)

    return with_gradients(value, [z_s, z_t], differentiate)
