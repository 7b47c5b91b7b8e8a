"""Source and target features from one distribution: minus the maximum mean discrepancy."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.nn.discrepancy import FACTORS, mean_squared_distance, squared_distances
from dalib.validators._guards import usable

BLOCK = 256


class MMDDistance(Validator):
    """-MMD²(z_s, z_t), unbiased, five Gaussian kernels as wide as the pooled features; near 0 when they are aligned.

    Rows are all held-out source rows and all target rows; nan with fewer than two of either. Classes do not enter:
    features that collapse to a point score best.

    Reference
        Long et al. Learning Transferable Features with Deep Adaptation Networks. ICML 2015. arXiv:1502.02791. As a
        validator: Ericsson et al. 2023, arXiv:2309.03879. Departures: as in `dalib.nn.discrepancy.mmd2`, whose value
        this is, a block of rows at a time.
    """

    uses_features = True
    paper = "long2015dan"

    def score(self, source: Outputs, target: Outputs) -> float:
        n, m = len(source.z), len(target.z)
        if min(n, m) < 2 or not usable(source, target):
            return math.nan
        z = torch.cat([source.z, target.z])
        z = z / z.abs().max().clamp(min=torch.finfo(z.dtype).tiny)
        widest = mean_squared_distance(z) * max(FACTORS)
        z = z - z.mean(0)
        s, t = z[:n], z[n:]
        within = (_kernel_sum(s, s, widest) / n - len(FACTORS)) / (n - 1)
        within += (_kernel_sum(t, t, widest) / m - len(FACTORS)) / (m - 1)
        return 2 * _kernel_sum(s, t, widest) / (n * m) - within


def _kernel_sum(a: Tensor, b: Tensor, widest: Tensor) -> float:
    """sum_ij sum_u exp(-||a_i - b_j||² / (2 sigma_u²)); sigma_u² halves from `widest`: each kernel is a square."""
    total = 0.0
    for rows in a.split(BLOCK):
        k = squared_distances(rows, b).mul_(-0.5 / widest).exp_()
        total += float(k.sum(dtype=torch.float64))
        for _ in FACTORS[1:]:
            total += float(k.square_().sum(dtype=torch.float64))
    return total
