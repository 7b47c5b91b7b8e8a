"""How little the classes overlap if each is a round Gaussian."""

from __future__ import annotations

import math

import torch

from dalib.core.measure import Measure
from dalib.core.types import Outputs
from dalib.measures._guards import one_hot, usable
from dalib.measures._pca import principal_components


class GBC(Measure):
    """Gaussian Bhattacharyya coefficient, dimensionless, in [-K (K - 1), 0].

    score = -sum_{c != c'} exp(-D(c, c')),
    D = |mu_c - mu_c'|² / (8 s²) + d / 2 log(s² / (s_c s_c')),  s² = (s_c² + s_c'²) / 2,
    mu_c, s_c² = mean and variance (averaged over directions) of class c in d principal components

    Args
        width: principal components d, >= 1; the paper's 64
    Reference
        Pándy et al. Transferability Estimation using Bhattacharyya Class Separability. CVPR 2022. arXiv:2111.12780;
        spherical covariances, its default. Departures: the log term counts every direction, as the determinant says,
        where the released code counts it once; variances are floored at 1e-4 of the mean one over all rows, where the
        released code floors at 1e-4, so that the scale of the features does not matter.
    """

    paper = "pandy2022gbc"

    def __init__(self, width: int = 64) -> None:
        self.width = width

    def score(self, outputs: Outputs) -> float:
        if not usable(outputs):
            return math.nan
        z, Y = principal_components(outputs.z, self.width), one_hot(outputs.y)
        z = z / z.square().mean().sqrt().clamp(min=torch.finfo(z.dtype).tiny)
        n = Y.sum(0)
        mu = Y.T @ z / n[:, None]
        s2 = (Y.T @ (z - Y @ mu).square().mean(1) / n).clamp(min=1e-4)
        pooled = (s2[:, None] + s2) / 2
        distance = (mu[:, None] - mu).square().sum(2) / (8 * pooled)
        distance += z.shape[1] / 2 * (pooled.log() - (s2[:, None].log() + s2.log()) / 2)
        return float(len(n) - (-distance).exp().sum())
