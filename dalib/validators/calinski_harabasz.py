"""Predicted classes that are compact and apart in the target's features: variance between against within."""

from __future__ import annotations

import math

import torch

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.validators._classes import predicted_classes
from dalib.validators._guards import usable


class CalinskiHarabasz(Validator):
    """(B / (k - 1)) / (W / (n - k)),  B = sum_i n_i ||m_i - m||²,  W = sum ||z - m_i||², >= 0.

    m_i, n_i: mean and rows of a predicted class, k classes, m = mean of all. 0 for a model that predicts one class and
    where every row has a class of its own.

    Reference
        Calinski & Harabasz. A Dendrite Method for Cluster Analysis. Communications in Statistics 1974. As a validator:
        Ericsson et al. Better Practices for Domain Adaptation. AutoML 2023. arXiv:2309.03879. Departures: they score
        k-means clusters, which the predictions do not enter; W ends at the rounding of z, so that a class of equal rows
        scores high and finite.
    """

    uses_features = True
    paper = "ericsson2023better"

    def score(self, source: Outputs, target: Outputs) -> float:
        if not usable(target):
            return math.nan
        y, size, m = predicted_classes(target)
        n, k = len(y), len(m)
        if k in (1, n):
            return 0.0
        z = target.z.double()
        rounding = n * (torch.finfo(target.z.dtype).eps * z.abs().max()) ** 2 + torch.finfo(z.dtype).tiny
        between = (size * (m - z.mean(0)).square().sum(1)).sum()
        within = (z - m[y]).square().sum().clamp(min=rounding)
        return float((between / (k - 1)) / (within / (n - k)))
