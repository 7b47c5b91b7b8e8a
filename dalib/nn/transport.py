"""Optimal transport between two samples. Solvers are POT's, in float64 on the CPU: every call waits for the device."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dalib.nn.linalg import matrix_power_psd, ridge_covariances

TOLERANCE = 1e-4
"""Largest total deviation of a plan's marginals that counts as converged (their mass is 1)."""
_LOG_DOMAIN_BELOW = 0.01


def emd(cost: Tensor, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
    """Exact plan argmin_P <P, cost> with row sums a and column sums b.

    cost (n, m) -> P (n, m) >= 0, of cost's dtype and device, constant; a (n,), b (m,) >= 0 of sum 1, None = uniform.

    Raises
        RuntimeError: the network simplex did not converge
    """
    import ot

    return _solve(lambda a, b, M: ot.emd(a, b, M, numItermax=10_000_000), cost, a, b)


def sinkhorn(
    cost: Tensor, reg: float, a: Tensor | None = None, b: Tensor | None = None, max_iterations: int = 20_000
) -> Tensor:
    """Entropic plan argmin_P <P, cost / max cost> + reg * sum P log P; shapes as `emd`.

    reg > 0 is a fraction of the largest cost; below 0.01 the iteration runs in the log domain. Cuturi 2013,
    arXiv:1306.0895.

    Raises
        RuntimeError: the marginals are off by more than 1e-4 after max_iterations
    """
    import ot

    method = "sinkhorn_log" if reg < _LOG_DOMAIN_BELOW else "sinkhorn"
    return _solve(
        lambda a, b, M: ot.sinkhorn(a, b, M, reg, method=method, numItermax=max_iterations, stopThr=1e-8),
        scale_cost(cost),
        a,
        b,
    )


def class_regularised(cost: Tensor, labels: Tensor, reg: float, group: float, max_iterations: int = 20_000) -> Tensor:
    """Entropic plan that avoids sending rows of different classes to one target row; shapes as `emd`.

    argmin_P <P, cost / max cost> + reg * sum P log P + group * sum_j sum_c (mass of class c sent to row j)^(1/2)

    labels (n,) int64 of the rows; reg, group > 0 are fractions of the largest cost. Courty et al. 2017,
    arXiv:1507.00504: the lp-l1 regulariser, by ten majorisation steps (POT's sinkhorn_lpl1_mm).

    Raises
        RuntimeError: the marginals are off by more than 1e-4 after max_iterations
    """
    import ot

    classes = labels.cpu().numpy()
    return _solve(
        lambda a, b, M: ot.da.sinkhorn_lpl1_mm(a, classes, b, M, reg, group, 10, max_iterations, 1e-8),
        scale_cost(cost),
        None,
        None,
    )


def scale_cost(cost: Tensor) -> Tensor:
    """cost / max cost, or the zero cost as it is."""
    top = cost.max()
    return cost / torch.where(top > 0, top, 1.0)


def barycentric_map(plan: Tensor, z_t: Tensor) -> Tensor:
    """plan (n, m), z_t (m, d) -> each row's image: the mean of the target rows its mass goes to (n, d)."""
    return plan @ z_t / plan.sum(1, keepdim=True).clamp(min=torch.finfo(plan.dtype).tiny)


def gaussian_map(z_s: Tensor, z_t: Tensor, reg: float = 1e-3) -> tuple[Tensor, Tensor]:
    """The linear Monge map z -> z A + b that carries N(m_s, C_s) to N(m_t, C_t): A (d, d) symmetric, b (d,).

    A = C_s^(-1/2) (C_s^(1/2) C_t C_s^(1/2))^(1/2) C_s^(-1/2), b = m_t - m_s A, C = cov + reg * v * I (v: mean variance)

    z_s (n_s, d), z_t (n_t, d), reg > 0. Flamary et al. 2019, arXiv:1905.10155; the ridge is a departure.
    """
    c_s, c_t = ridge_covariances(z_s, z_t, reg)
    root, inverse = matrix_power_psd(c_s, 0.5), matrix_power_psd(c_s, -0.5)
    A = inverse @ matrix_power_psd(root @ c_t @ root, 0.5) @ inverse
    return A, z_t.mean(0) - z_s.mean(0) @ A


def _solve(solver: Callable[[Any, Any, Any], np.ndarray], cost: Tensor, a: Tensor | None, b: Tensor | None) -> Tensor:
    """Run a POT solver silently, and accept its plan only if the marginals hold."""
    a, b = (
        torch.full((n,), 1 / n, dtype=torch.float64) if w is None else w.detach().double().cpu()
        for n, w in zip(cost.shape, (a, b), strict=True)
    )
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        plan = torch.from_numpy(np.asarray(solver(a.numpy(), b.numpy(), cost.detach().double().cpu().numpy())))
    off = float((plan.sum(1) - a).abs().sum() + (plan.sum(0) - b).abs().sum())
    if not off <= TOLERANCE:
        raise RuntimeError(f"optimal transport did not converge: marginals off by {off:.2g}; raise reg")
    return plan.to(cost.device, cost.dtype)
