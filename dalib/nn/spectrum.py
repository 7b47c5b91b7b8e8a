"""Singular values of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.nn.discrepancy import as_float


def nuclear_norm(a: Tensor) -> Tensor:
    """a (n, m) -> sum of its singular values, a scalar >= 0; fp32 or float64.

    Its gradient U Vᵀ leaves out singular values below eps * max(n, m) * the largest, whose directions are rounding
    noise, so a matrix of equal rows has a well-defined gradient. Equal singular values are no trouble. Cui et al. 2020,
    arXiv:2003.12237.
    """
    a = as_float(a)
    values = torch.linalg.svdvals(a)
    floor = torch.finfo(a.dtype).eps * max(a.shape) * values.detach().max()
    return torch.where(values > floor, values, 0.0).sum()


def largest_squared_singular_value(z: Tensor) -> Tensor:
    """z (B, d) -> sigma_1(z)², a scalar >= 0: the largest eigenvalue of z zᵀ (B, B), or of zᵀ z if that is smaller.

    Its gradient is 2 u uᵀ z, with no division by gaps between eigenvalues; fp32 or float64.
    """
    z = as_float(z)
    return torch.linalg.eigvalsh(z @ z.T if z.shape[0] <= z.shape[1] else z.T @ z)[-1].clamp(min=0)
