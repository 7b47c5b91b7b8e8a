"""Weigh all source rows against the few labelled target rows by one number, then fit a classifier."""

import torch
from torch import Tensor

from dalib.algorithms._row_weighting import RowWeighting
from dalib.core.feature_algorithm import SOLVED
from dalib.core.hyper import positive


class BalancedWeighting(RowWeighting):
    """Labelled rows of the target count as much as the source's, however few they are.

    classifier = argmin_f (1 - a) mean loss(f(z_s), y_s) + a mean loss(f(z_t), y_t),  a = target_share

    Where one kind of labelled rows is missing, all rows are alike.

    Shapes
        z (n, d), y (n,); weights (n,) of mean 1 over all labelled rows
    Reference
        Wu & Dietterich. Improving SVM Accuracy by Training on Auxiliary Data Sources. ICML 2004. Departure: one number
        between 0 and 1 in place of two costs, as in ADAPT's BalancedWeighting.
    """

    family = "few labels"
    objectives = SOLVED
    paper = "wu2004auxiliary"
    lives_on = {"labelled target rows": "linear_probe", "labelled source rows": "linear_probe"}
    uses_target = False
    target_share: float = positive(
        default=0.5, below=1, search=(0.3, 0.5, 0.8), doc="part of the loss that labelled target rows make up"
    )

    def weigh_labelled(self, z: Tensor, y: Tensor, z_t: Tensor, own: Tensor) -> Tensor:
        few, n = int(own.sum()), len(z)
        if few in (0, n):
            return torch.ones(n, dtype=torch.float64)
        shares = n * torch.tensor([(1 - self.target_share) / (n - few), self.target_share / few], dtype=torch.float64)
        return shares[own.long()]
