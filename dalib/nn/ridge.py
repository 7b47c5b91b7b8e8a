"""Ridge regression in closed form, and linear heads of several yes/no answers."""

from __future__ import annotations

import torch
from torch import Tensor


def fit_ridge(z: Tensor, y: Tensor, reg: float) -> tuple[Tensor, Tensor]:
    """argmin_{W, b} 1/n ||z W + b - y||² + reg * v * ||W||²; b is not penalised.

    z (n, d), y (n, k) -> W (d, k), b (k,). v = total variance of z (1 where z is constant): reg > 0 has no unit, and is
    the usual ridge on rows whose mean squared distance from their mean is 1. Solved at the smaller of n and d.
    """
    mean, middle = z.mean(0), y.mean(0)
    z_c, y_c = z - mean, y - middle
    n, d = z.shape
    v = z_c.square().sum(1).mean()
    ridge = n * reg * torch.where(v > 0, v, 1.0)
    if n < d:
        W = z_c.T @ torch.linalg.solve(z_c @ z_c.T + ridge * torch.eye(n).to(z), y_c)
    else:
        W = torch.linalg.solve(z_c.T @ z_c + ridge * torch.eye(d).to(z), z_c.T @ y_c)
    return W, middle - mean @ W


def fit_weighted_ridge(z: Tensor, y: Tensor, C: float, weight: Tensor) -> tuple[Tensor, Tensor]:
    """argmin_{W, b} sum_i w_i ||W z_i + b - y_i||² + v/C ||W||²; b is not penalised.

    z (n, d), y (n, m), weight (n,) >= 0, not all 0 -> W (m, d), b (m,), float64. v = mean (weighted) variance of a
    column of z, 1 where z is constant: C has no unit, and it is scikit-learn's Ridge(alpha=1 / C) where
    v = 1.
    """
    z, y, w = z.double(), y.double(), weight.double()[:, None]
    total = w.sum()
    mean, middle = (w * z).sum(0) / total, (w * y).sum(0) / total
    z_c, y_c = w.sqrt() * (z - mean), w.sqrt() * (y - middle)
    n, d = z.shape
    v = z_c.square().sum(0).mean() / total
    ridge = torch.where(v > 0, v, 1.0) / C
    if n < d:
        W = z_c.T @ torch.linalg.solve(z_c @ z_c.T + ridge * torch.eye(n).to(z), y_c)
    else:
        W = torch.linalg.solve(z_c.T @ z_c + ridge * torch.eye(d).to(z), z_c.T @ y_c)
    return W.T.contiguous(), middle - mean @ W
