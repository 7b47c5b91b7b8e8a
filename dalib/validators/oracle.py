"""Accuracy on the target's own test labels: an upper bound, never a method."""

from __future__ import annotations

import math

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.nn.metrics import accuracy


class Oracle(Validator):
    """Part of the target rows predicted rightly, in [0, 1]. It reads target labels, and tables say so."""

    uses_target_labels = True

    def score(self, source: Outputs, target: Outputs) -> float:
        if target.y is None:
            return math.nan
        return accuracy(target.logits, target.y)
