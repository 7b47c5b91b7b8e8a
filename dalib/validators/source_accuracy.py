"""Accuracy on held-out source rows."""

from __future__ import annotations

import math

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.nn.metrics import accuracy


class SourceAccuracy(Validator):
    """Part of the held-out source rows predicted rightly, in [0, 1]; nan without held-out rows or labels."""

    def score(self, source: Outputs, target: Outputs) -> float:
        if source.y is None or not len(source.y):
            return math.nan
        return accuracy(source.logits, source.y)
