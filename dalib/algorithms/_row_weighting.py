"""What the methods that weight source rows share: a classifier that takes weights, and weights that it can take."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.hyper import positive
from dalib.nn.classifiers import UNWEIGHTED


class RowWeighting(FeatureAlgorithm):
    """Features stay where they are; a subclass gives `weigh`, an estimate of p_t(z) / p_s(z) at every source row."""

    C: float = positive(
        default=1.0, search=(0.1, 1.0, 10.0), doc="inverse regularisation, at row weights of mean 1", last=True
    )

    def check(self) -> None:
        super().check()
        if self.classifier in UNWEIGHTED:
            name = self.name_for_people()
            raise DalibError(
                f"{name}.classifier = {self.classifier!r} takes no row weights, which are all that {name} changes; "
                "use 'logistic' or 'svm'"
            )

    def usable(self, weight: Tensor) -> Tensor:
        """The weights (n_s,) as they are; all alike where every one has underflowed to 0."""
        if not weight.isfinite().all():
            raise DalibError(
                f"{self.name_for_people()}: no density ratio can be estimated at {len(weight)} source rows; "
                "give at least two rows of each domain, without nan or infinity"
            )
        if not weight.any():
            warnings.warn(
                f"{self.name_for_people()} without an overlap of the domains is linear_probe: every weight is 0, so "
                "that all rows count alike; take a wider kernel, or a method that moves rows (coral, ot_map)",
                RuntimeWarning,
                stacklevel=3,
            )
            return torch.ones_like(weight)
        return weight
