"""Distances between moments of two samples."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.nn.discrepancy import as_float, compare_means


def mean_distance2(z_s: Tensor, z_t: Tensor) -> Tensor:
    """||mean z_s - mean z_t||², the MMD² with a linear kernel; z_s (n_s, d), z_t (n_t, d) -> a scalar >= 0."""
    return (as_float(z_s).mean(0) - as_float(z_t).mean(0)).square().sum()


def central_moments(z_s: Tensor, z_t: Tensor, moments: int = 5, width: float = 1.0) -> Tensor:
    """Central moment discrepancy of features that lie in an interval of `width`, a scalar >= 0.

    ||E z_s - E z_t|| / width + sum_{k=2..moments} ||c_k(z_s) - c_k(z_t)|| / width^k,  c_k = E (z - E z)^k per feature

    z_s (n_s, d), z_t (n_t, d), sizes may differ; moments >= 1. The norm's gradient at 0 is 0. Zellinger et al. Central
    Moment Discrepancy (CMD) for Domain-Invariant Representation Learning. ICLR 2017. arXiv:1702.08811 (definition 2).
    """
    z_s, z_t = as_float(z_s), as_float(z_t)
    m_s, m_t = z_s.mean(0), z_t.mean(0)
    total = torch.linalg.vector_norm(m_s - m_t) / width
    c_s, c_t = z_s - m_s, z_t - m_t
    for k in range(2, moments + 1):
        total = total + torch.linalg.vector_norm((c_s**k).mean(0) - (c_t**k).mean(0)) / width**k
    return total


def moment_tensor_distance2(z_s: Tensor, z_t: Tensor, order: int = 3) -> Tensor:
    """Mean squared difference between the entries of two central moment tensors, a scalar >= 0 up to rounding.

    ||E c_s^(⊗p) - E c_t^(⊗p)||²_F / d^p,  c = z - E z of its own domain, p = order

    z_s (n_s, d), z_t (n_t, d), sizes may differ; order >= 1. As <a^(⊗p), b^(⊗p)> = (a·b)^p, all d^p entries cost one
    Gram matrix: it is the biased MMD² with the kernel (a·b / d)^p. Chen et al. HoMM: Higher-Order Moment Matching for
    Unsupervised Domain Adaptation. AAAI 2020. arXiv:1912.11976.
    """
    z_s, z_t = as_float(z_s), as_float(z_t)
    c = torch.cat([z_s - z_s.mean(0), z_t - z_t.mean(0)])
    return compare_means((c @ c.T / c.shape[1]) ** order, len(z_s), "biased")
