"""The accuracy on held-out source rows, each as heavy as it is like the target."""

from __future__ import annotations

import math

from dalib.core.forecast import Forecast
from dalib.core.types import Outputs
from dalib.forecasts._calibrated import find_right, usable
from dalib.nn.density_ratio import discriminative_weights


class ImportanceWeighted(Forecast):
    """sum_i w_i 1[i right] / sum_i w_i over held-out source rows,  w = p_t(a) / p_s(a) of what the model answers.

    a = log softmax(logits): weights by what the model says, not by the rows themselves, which need not be there

    Reference
        Sugiyama, Krauledat & Müller. Covariate Shift Adaptation by Importance Weighted Cross Validation. JMLR 2007;
        weights by a domain classifier (`discriminative_weights`).
    """

    paper = "sugiyama2007iwcv"

    def estimate(self, source: Outputs, target: Outputs, second: Outputs | None = None) -> float:
        if not usable(source, target):
            return math.nan
        a_s, a_t = (o.logits.double().log_softmax(1).clamp(min=-50) for o in (source, target))
        w = discriminative_weights(a_s, a_t)
        value = float((w * find_right(source)).sum() / w.sum())
        return value if math.isfinite(value) else math.nan
