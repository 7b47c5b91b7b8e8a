"""How often a model of another seed gives the same answers."""

from __future__ import annotations

import math

from dalib.core.forecast import Forecast
from dalib.core.types import Outputs


class Agreement(Forecast):
    """mean_j 1[argmax_k logits_jk = argmax_k logits'_jk] over target rows; logits' of the same training, another seed.

    Reference
        Jiang et al. Assessing Generalization of SGD via Disagreement. ICLR 2022. arXiv:2106.13799. It is the accuracy
        where the two models together are calibrated by class; two models that share most of their weights agree more.
    """

    needs_second = True
    paper = "jiang2022disagreement"

    def estimate(self, source: Outputs, target: Outputs, second: Outputs | None = None) -> float:
        if second is None or not len(target.logits) or len(second.logits) != len(target.logits):
            return math.nan
        return float((target.logits.argmax(1) == second.logits.argmax(1)).double().mean())
