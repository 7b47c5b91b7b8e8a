"""The small end of a batch's spectrum."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.nn.discrepancy import as_float


def smallest_squared_singular_values(z: Tensor, k: int = 1) -> Tensor:
    """z (B, d) -> sum of the k smallest of its min(B, d) squared singular values, a scalar >= 0.

    Eigenvalues of z zᵀ (B, B), or of zᵀ z if that is smaller; the gradient of each is 2 u uᵀ z, with no division by
    gaps between them. fp32 or float64; values below about eps * the largest are rounding noise, and a negative one
    counts as 0.
    """
    z = as_float(z)
    return torch.linalg.eigvalsh(z @ z.T if z.shape[0] <= z.shape[1] else z.T @ z)[:k].clamp(min=0).sum()
