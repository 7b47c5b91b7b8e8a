"""How sure the calibrated model is of its answers on the target."""

from __future__ import annotations

import math

from dalib.core.forecast import Forecast
from dalib.core.types import Outputs
from dalib.forecasts._calibrated import calibrated, usable


class AverageConfidence(Forecast):
    """mean_j max_k p_jk,  p = softmax(logits_t / T),  T from held-out source rows.

    Right where the model is as calibrated on the target as on the source, which shift usually undoes.

    Reference
        Hendrycks & Gimpel. A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks.
        ICLR 2017. arXiv:1610.02136; T as Guo et al. 2017.
    """

    counts = True
    paper = "hendrycks2017baseline"

    def estimate(self, source: Outputs, target: Outputs, second: Outputs | None = None) -> float:
        return float(calibrated(source, target)[1].amax(1).mean()) if usable(source, target) else math.nan
