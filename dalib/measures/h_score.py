"""How much of the features' variance lies between the classes, with a shrunk covariance."""

from __future__ import annotations

import math

import torch

from dalib.core.measure import Measure
from dalib.core.types import Outputs
from dalib.measures._guards import one_hot, usable


class HScore(Measure):
    """Shrunk H-score, dimensionless, in [0, K - 1].

    score = tr(C_a^(-1) (1 - a) C_g),  C_a = (1 - a) C + a tr(C) / d I,  C = cov(z),  C_g = cov(E[z|y]),
    a = the shrinkage of Ledoit and Wolf

    Reference
        Ibrahim, Ponomareva & Mazumder. Newer is not always better: Rethinking transferability metrics, their
        peculiarities, stability and performance. ECML PKDD 2022. arXiv:2110.06893. The H-score itself: Bao et al. An
        Information-Theoretic Approach to Transferability in Task Transfer Learning. ICIP 2019. Both covariances are
        divided by n. With the SVD of the centred features no d x d matrix is made.
    """

    paper = "ibrahim2022hscore"

    def score(self, outputs: Outputs) -> float:
        if not usable(outputs):
            return math.nan
        from sklearn.covariance import ledoit_wolf_shrinkage

        z, Y = outputs.z.double(), one_hot(outputs.y)
        z = z - z.mean(0)
        z = z / z.abs().max().clamp(min=torch.finfo(z.dtype).tiny)
        n, d = z.shape
        U, S, _ = torch.linalg.svd(z, full_matrices=False)
        if S[0] == 0:
            return 0.0
        a = float(ledoit_wolf_shrinkage(z.numpy(), assume_centered=True))
        means = Y.T @ (U * S) / Y.sum(0)[:, None]
        between = (Y.sum(0)[:, None] * means.square()).sum(0) / n
        within_a = (1 - a) * S.square() / n + a * S.square().sum() / (n * d)
        kept = S / S[0] > torch.finfo(S.dtype).eps * max(n, d)
        return float(((1 - a) * between[kept] / within_a[kept]).sum())
