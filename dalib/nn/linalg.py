"""Closed-form maps between two samples through their covariances, in float64."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dalib.nn.discrepancy import as_float


def matrix_power_psd(C: Tensor, power: float, eps: float = 0.0) -> Tensor:
    """C (d, d) symmetric, positive semi-definite -> C^power (d, d); eigenvalues below eps count as eps.

    With eps = 0 and power < 0 a singular C gives inf.
    """
    values, vectors = solve_symmetric(C)
    return gram(vectors * values.clamp(min=eps) ** (power / 2))


def recolour(z_s: Tensor, z_t: Tensor, reg: float | str = 1.0, z: Tensor | None = None) -> Tensor:
    """Give the source rows the target's mean and covariance: (z - m_s) C_s^(-1/2) C_t^(1/2) + m_t, (n, d).

    z: the source rows that are moved; None = those of z_s.

    C = cov + reg * v * I, v = mean variance of a feature over both domains (1 for z-scored or constant features);
    reg > 0, dimensionless, or "auto": 1, the paper's, or d / n of the domain with fewer rows, if that is more;
    z_s (n_s, d), z_t (n_t, d). A domain of fewer rows than features costs O(n² d): its covariance is a ridge and a part
    in the span of the rows.
    Sun, Feng & Saenko. Return of Frustratingly Easy Domain Adaptation. AAAI 2016. arXiv:1511.05547 (algorithm 1).
    Departures: the paper z-scores each domain first (zero means, v = 1); here means are moved and the ridge is scaled,
    which is the same on such data and defined on any other.
    """
    X, Y = centred_rows(z_s), centred_rows(z_t)
    ridge = scale_ridge(X, Y, reg)
    if z is None:
        return _times_root(_whiten(X, ridge), Y, ridge, 0.5) * max(len(X) - 1, 1) ** 0.5 + z_t.mean(0)
    white = _times_root(as_float(z) - as_float(z_s).mean(0), X, ridge, -0.5)
    return _times_root(white, Y, ridge, 0.5) + z_t.mean(0)


def centred_rows(z: Tensor) -> Tensor:
    """z (n, d) -> X (n, d) with Xᵀ X = the covariance (n - 1), fp32 or float64."""
    z = as_float(z)
    return (z - z.mean(0)) / max(len(z) - 1, 1) ** 0.5


def scale_ridge(X: Tensor, Y: Tensor, reg: float | str) -> Tensor:
    """reg * v, v = mean variance of a feature (1 if all are constant), from the `centred_rows` of both domains.

    reg: a number, or "auto": d / n of the domain with fewer rows, at least 1
    """
    v = (X.square().sum() + Y.square().sum()) / (2 * X.shape[1])
    times = max(1.0, X.shape[1] / min(len(X), len(Y))) if reg == "auto" else float(reg)
    return times * torch.where(v > 0, v, 1.0)


def root(X: Tensor, ridge: Tensor, power: float = 0.5) -> Tensor:
    """(Xᵀ X + ridge I)^power (d, d)."""
    return matrix_power_psd(gram(X.T) + ridge * torch.eye(X.shape[1]).to(X), power)


def gram(X: Tensor) -> Tensor:
    """X Xᵀ (n, n); on the CPU NumPy's product, which computes one triangle."""
    if X.device.type != "cpu":
        return X @ X.T
    x = X.detach().numpy()
    return torch.from_numpy(x @ x.T)


def solve_symmetric(C: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, smallest first, and eigenvectors of C (d, d); NumPy's LAPACK on the CPU, the faster one."""
    if C.device.type != "cpu":
        values, vectors = torch.linalg.eigh(C)
        return values, vectors
    pairs = np.linalg.eigh(C.detach().numpy())
    return torch.from_numpy(pairs.eigenvalues), torch.from_numpy(pairs.eigenvectors)


def _whiten(X: Tensor, ridge: Tensor) -> Tensor:
    """X (Xᵀ X + ridge I)^(-1/2) = (X Xᵀ + ridge I)^(-1/2) X, by the smaller of the two."""
    return root(X.T, ridge, -0.5) @ X if len(X) < X.shape[1] else X @ root(X, ridge, -0.5)


def _times_root(rows: Tensor, Y: Tensor, ridge: Tensor, power: float) -> Tensor:
    """rows (Yᵀ Y + ridge I)^power; of Y (n, d), n < d, by its Gram matrix, whose width is n.

    With Y Yᵀ = V diag(m) Vᵀ and r the ridge, the power is r^power I + Yᵀ V diag(((m + r)^power - r^power) / m) Vᵀ Y.
    """
    if len(Y) >= Y.shape[1]:
        return rows @ root(Y, ridge, power)
    values, V = solve_symmetric(gram(Y))
    m = values.clamp(min=0)
    low, high = ridge.sqrt(), (m + ridge).sqrt()
    gain = 1 / (high + low) if power > 0 else -1 / (high * low * (high + low))
    return rows * (low if power > 0 else 1 / low) + (rows @ Y.T) @ ((V * gain) @ V.T) @ Y
