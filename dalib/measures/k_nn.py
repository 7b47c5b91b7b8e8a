"""How often a row's nearest neighbours in the features share its label."""

from __future__ import annotations

import math

import torch
from torch.nn.functional import normalize

from dalib.core.measure import Measure
from dalib.core.types import Outputs
from dalib.measures._guards import one_hot, usable

_CHUNK = 1 << 22
_SAME = 1e-9
"""Similarities this close are equal: a neighbour as near as the k-th votes too."""


class KNN(Measure):
    """Leave-one-out accuracy of the k nearest neighbours by cosine similarity, in [0, 1].

    score = mean_i [y_i in V_i] / |V_i|,  V_i = classes with the most votes among the k rows j != i of the largest
    cos(z_i, z_j)

    Ties are shared, so that neither the order of the rows nor the numbers of the classes matter.

    Args
        k: neighbours, >= 1; fewer where there are not as many other rows
    Reference
        Sorkhei et al. k-NN as a Simple and Effective Estimator of Transferability. 2025. arXiv:2503.18528. Departure:
        k = 5, the cosine and leaving one out are choices of this file, made for small labelled sets.
    """

    paper = "sorkhei2025knn"

    def __init__(self, k: int = 5) -> None:
        self.k = k

    def score(self, outputs: Outputs) -> float:
        if not usable(outputs):
            return math.nan
        z, Y = outputs.z.double(), one_hot(outputs.y)
        z = normalize(z / z.abs().max().clamp(min=torch.finfo(z.dtype).tiny), eps=torch.finfo(z.dtype).tiny)
        n, k, right = len(z), min(self.k, len(z) - 1), 0.0
        for rows in torch.arange(n).split(max(1, _CHUNK // n)):
            cosine = z[rows] @ z.T
            cosine[torch.arange(len(rows)), rows] = -math.inf
            near = cosine >= cosine.topk(k).values[:, -1:] - _SAME
            votes = near.double() @ Y
            winners = (votes == votes.max(1, keepdim=True).values).double()
            right += float((winners * Y[rows]).sum(1).div(winners.sum(1)).sum())
        return right / n
