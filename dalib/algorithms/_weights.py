"""What the methods that weight source rows share: a classifier that takes weights, and weights that it can take."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import FeatureAlgorithm
from dalib.core.errors import DalibError
from dalib.core.registry import snake_case
from dalib.nn.classifiers import UNWEIGHTED


class RowWeighting(FeatureAlgorithm):
    """Features stay where they are; a subclass gives `weigh`, an estimate of p_t(z) / p_s(z) at every source row.

    Args
        classifier: `logistic` or `svm`; the others are refused, since they take no weights
        C: inverse regularisation of the classifier, whose rows' weights are scaled to mean 1, > 0
    """

    def check(self) -> None:
        super().check()
        require_positive(self, "C")
        if self.classifier in UNWEIGHTED:
            name = snake_case(type(self).__name__)
            raise DalibError(
                f"{name}.classifier = {self.classifier!r} takes no row weights, which are all that {name} changes; "
                "use 'logistic' or 'svm'"
            )

    def usable(self, weight: Tensor) -> Tensor:
        """The weights (n_s,) as they are; all alike where every one has underflowed to 0."""
        if not weight.isfinite().all():
            raise DalibError(
                f"{snake_case(type(self).__name__)}: no density ratio can be estimated at {len(weight)} source rows; "
                "give at least two rows of each domain, without nan or infinity"
            )
        return weight if weight.any() else torch.ones_like(weight)
