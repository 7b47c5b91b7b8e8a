"""Source and target features with one covariance: minus the distance between the two."""

from __future__ import annotations

import math

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.nn import discrepancy
from dalib.validators._guards import usable


class CORALDistance(Validator):
    """-||C_s - C_t||_F / (2 d), C = covariance of held-out source and of target features, <= 0.

    nan with fewer than two rows of either. Classes do not enter, and it is not free of scale: features that shrink to a
    point score best.

    Reference
        Sun & Saenko. Deep CORAL: Correlation Alignment for Deep Domain Adaptation. ECCV workshops 2016.
        arXiv:1607.01719 (eq. 1). As a validator: Ericsson et al. 2023, arXiv:2309.03879. Departure: the root of the
        paper's distance, in the same order, so that small ones do not vanish in a table's six decimals.
    """

    uses_features = True
    paper = "sun2016deepcoral"

    def score(self, source: Outputs, target: Outputs) -> float:
        if min(len(source.z), len(target.z)) < 2 or not usable(source, target):
            return math.nan
        distance = math.sqrt(discrepancy.coral_distance(source.z, target.z))
        return -distance if math.isfinite(distance) else math.nan
