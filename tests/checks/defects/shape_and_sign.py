"""Defect: the entropy itself as a score (lower is better), and as a tensor."""

from __future__ import annotations

from typing import Any

from dalib.core.types import Outputs
from dalib.core.validator import Validator


class ShapeAndSign(Validator):
    """score = mean entropy of target predictions, sign forgotten."""

    def score(self, source: Outputs, target: Outputs) -> Any:
        return -(target.p * target.p.clamp_min(1e-9).log()).sum(1).mean()
