"""The accuracy on held-out source rows, less what the model is less sure of on the target."""

from __future__ import annotations

import math

from dalib.core.forecast import Forecast
from dalib.core.types import Outputs
from dalib.forecasts._calibrated import calibrated, find_right, usable, within


class DifferenceOfConfidences(Forecast):
    """acc_s - (mean_i max_k p_ik of the source - mean_j max_k p_jk of the target), p at the source's temperature.

    Reference
        Guillory et al. Predicting with Confidence on Unseen Distributions. ICCV 2021. arXiv:2107.03315. Departure: the
        difference itself, as Garg et al. 2022 (arXiv:2201.04234) compare with it; there a regression over known shifts.
    """

    counts = True
    paper = "guillory2021predicting"

    def estimate(self, source: Outputs, target: Outputs, second: Outputs | None = None) -> float:
        if not usable(source, target):
            return math.nan
        p_s, p_t = calibrated(source, target)
        return within(find_right(source).mean() - p_s.amax(1).mean() + p_t.amax(1).mean())
