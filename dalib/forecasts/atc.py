"""The part of the target that is surer than a threshold, which as many held-out source rows pass as are right."""

from __future__ import annotations

import math

from dalib.core.forecast import Forecast
from dalib.core.types import Outputs
from dalib.forecasts._calibrated import calibrated, find_right, usable


class ATC(Forecast):
    """Average thresholded confidence: mean_j 1[s_j >= t], with t such that mean_i 1[s_i < t] = 1 - acc_s on the source.

    s = max_k p_k,  p at the source's temperature

    Reference
        Garg et al. Leveraging Unlabeled Data to Predict Out-of-Distribution Performance. ICLR 2022. arXiv:2201.04234
        (ATC-MC).
    """

    counts = True
    paper = "garg2022atc"

    def estimate(self, source: Outputs, target: Outputs, second: Outputs | None = None) -> float:
        if not usable(source, target):
            return math.nan
        s, sure = (p.amax(1) for p in calibrated(source, target))
        wrong = int((1 - find_right(source)).sum())
        if wrong == len(s):
            return 0.0
        return float((sure >= s.sort().values[wrong]).double().mean())
