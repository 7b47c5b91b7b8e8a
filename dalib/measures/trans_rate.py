"""How many more bits the features need without the labels than with them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dalib.core.measure import Measure
from dalib.core.types import Outputs
from dalib.measures._guards import one_hot, usable


def coding_rate(z: Tensor, eps: float) -> Tensor:
    """R(z) = log det(I + zᵀ z / (n eps)) / 2 in nats, from the singular values; z (n, d), eps > 0."""
    return torch.linalg.svdvals(z).square().div(len(z) * eps).log1p().sum() / 2


class TransRate(Measure):
    """Rate reduction by the labels, in nats, >= 0.

    score = R(z) - sum_c n_c / n R(z_c),  R(z) = log det(I + zᵀ z / (n eps)) / 2,  z centred, z_c its rows of class c

    It changes with the scale of the features, as eps is fixed.

    Args
        eps: squared distortion that the code allows, in the features' unit squared, > 0; the authors' 1e-4
    Reference
        Huang et al. Frustratingly Easy Transferability Estimation. ICML 2022. arXiv:2106.09362. Departure: classes
        weigh by their rows, as in the coding rate that it derives from, where the authors' listing takes their plain
        mean; the same for classes of equal size.
    """

    paper = "huang2022transrate"

    def __init__(self, eps: float = 1e-4) -> None:
        self.eps = eps

    def score(self, outputs: Outputs) -> float:
        if not usable(outputs):
            return math.nan
        z, Y = outputs.z.double(), one_hot(outputs.y)
        z = z - z.mean(0)
        within = [len(z[c]) / len(z) * coding_rate(z[c], self.eps) for c in Y.T > 0]
        return float(coding_rate(z, self.eps) - torch.stack(within).sum())
