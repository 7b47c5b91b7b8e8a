"""Proportions of a mixture whose components are known."""

from __future__ import annotations

import torch
from torch import Tensor


def fit_proportions(log_density: Tensor, tolerance: float = 1e-8, max_iterations: int = 100) -> Tensor:
    """argmax_theta mean_j log sum_l theta_l p_l(j),  theta >= 0, sum theta = 1; log p (n, b) -> theta (b,) > 0.

    Interior-point steps on -mean log(P theta) + sum theta. The mean log-likelihood is at most
    log max_l mean_j p_l(j) / (P theta)_j below the maximum, and that bound is below `tolerance`.

    Raises
        RuntimeError: it is not after `max_iterations`
    """
    P = (log_density - log_density.amax(1, keepdim=True)).exp()
    theta = P.new_full((P.shape[1],), 1 / P.shape[1])
    multiplier = torch.ones_like(theta)
    for _ in range(max_iterations):
        theta_1 = theta / theta.sum()
        if ((P / (P @ theta_1)[:, None]).mean(0).max()).log() <= tolerance:
            return theta_1
        R = P / (P @ theta)[:, None]
        mu = 0.1 * (theta @ multiplier) / len(theta)
        system = R.T @ R / len(R) + (multiplier / theta).diag()
        d_theta = torch.linalg.solve(system, R.mean(0) - 1 + mu / theta)
        d_multiplier = (mu - multiplier * d_theta) / theta - multiplier
        shrink = torch.cat([-d_theta / theta, -d_multiplier / multiplier]).max()
        t = 0.95 / shrink.clamp(min=0.95)
        theta, multiplier = theta + t * d_theta, multiplier + t * d_multiplier
    raise RuntimeError(f"mixture proportions did not reach a gap of {tolerance:g} in {max_iterations} steps")
