"""Closed-form maps between two samples through their covariances, in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.nn.discrepancy import covariance


def matrix_power_psd(C: Tensor, power: float, eps: float = 0.0) -> Tensor:
    """C (d, d) symmetric, positive semi-definite -> C^power (d, d); eigenvalues below eps count as eps.

    With eps = 0 and power < 0 a singular C gives inf.
    """
    values, vectors = torch.linalg.eigh(C)
    return (vectors * values.clamp(min=eps) ** power) @ vectors.T


def ridge_covariances(z_s: Tensor, z_t: Tensor, reg: float) -> tuple[Tensor, Tensor]:
    """z_s (n_s, d), z_t (n_t, d) -> cov + reg * v * I of both; v = mean variance of a feature over both domains.

    For z-scored features v = 1. Constant features: v = 1 too, so that the result has an inverse.
    """
    c_s, c_t = covariance(z_s), covariance(z_t)
    v = (c_s.trace() + c_t.trace()) / (2 * len(c_s))
    ridge = reg * torch.where(v > 0, v, 1.0) * torch.eye(len(c_s), dtype=c_s.dtype, device=c_s.device)
    return c_s + ridge, c_t + ridge


def recolour(z_s: Tensor, z_t: Tensor, reg: float = 1.0) -> Tensor:
    """Give the source rows the target's mean and covariance: (z_s - m_s) C_s^(-1/2) C_t^(1/2) + m_t, (n_s, d).

    C = cov + reg * v * I (`ridge_covariances`); reg > 0, dimensionless; z_s (n_s, d), z_t (n_t, d).
    Sun, Feng & Saenko. Return of Frustratingly Easy Domain Adaptation. AAAI 2016. arXiv:1511.05547 (algorithm 1).
    Departures: the paper z-scores each domain first (zero means, v = 1); here means are moved and the ridge is scaled,
    which is the same on such data and defined on any other.
    """
    c_s, c_t = ridge_covariances(z_s, z_t, reg)
    return (z_s - z_s.mean(0)) @ matrix_power_psd(c_s, -0.5) @ matrix_power_psd(c_t, 0.5) + z_t.mean(0)
