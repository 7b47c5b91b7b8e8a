"""Predicted classes that are compact and apart in the target's features: each against its nearest rival."""

from __future__ import annotations

import math

import torch

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.validators._classes import predicted_classes
from dalib.validators._guards import usable

WORST = 1e6
"""The index of a model without two distinct classes, and the largest one reported."""


class DaviesBouldin(Validator):
    """-mean_i max_{j != i} (s_i + s_j) / ||m_i - m_j||,  s_i = mean ||z - m_i|| over class i, m_i = its mean; <= 0.

    Classes are predicted ones. -1e6 for a model that predicts one class or whose class means coincide; nan where every
    row has a class of its own.

    Reference
        Davies & Bouldin. A Cluster Separation Measure. IEEE TPAMI 1979. As a validator: Ericsson et al. Better
        Practices for Domain Adaptation. AutoML 2023. arXiv:2309.03879. Departures: they score k-means clusters, which
        the predictions do not enter, and do not turn the sign; the index ends at 1e6.
    """

    uses_features = True
    paper = "ericsson2023better"

    def score(self, source: Outputs, target: Outputs) -> float:
        if not usable(target):
            return math.nan
        y, size, m = predicted_classes(target)
        if 1 < len(m) == len(y):
            return math.nan
        z = target.z.double()
        s = torch.zeros(len(m), dtype=z.dtype).index_add(0, y, (z - m[y]).norm(dim=1)) / size
        apart = torch.cdist(m, m, compute_mode="donot_use_mm_for_euclid_dist")
        resolved = apart > torch.finfo(target.z.dtype).eps * z.abs().max()
        ratio = torch.where(resolved, (s[:, None] + s) / apart, WORST).fill_diagonal_(WORST if len(m) == 1 else 0)
        return -min(float(ratio.amax(1).mean()), WORST)
