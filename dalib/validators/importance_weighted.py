"""Accuracy on held-out source rows, weighted by how target-like they are."""

from __future__ import annotations

import math

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.validators._weights import importance_weights, source_errors


class ImportanceWeighted(Validator):
    """Importance-weighted validation, in [-1, 0]; nan with fewer than two held-out rows, or without labels.

    score = -sum_i w_i e_i / sum_i w_i,  w = p_t(z) / p_s(z),  e_i = 1 where source row i is predicted wrongly

    Reference
        Sugiyama, Krauledat & Müller. Covariate Shift Adaptation by Importance Weighted Cross Validation. JMLR 2007.
        Departures: one held-out part in place of k folds; weights from a domain classifier on the model's features, for
        kernel density estimates on the inputs; divided by sum w for n, because the paper's estimate is best when every
        weight is near 0, which is when the domains lie apart.
    """

    uses_features = True
    paper = "sugiyama2007iwcv"

    def score(self, source: Outputs, target: Outputs) -> float:
        e = source_errors(source)
        if not len(e) or not len(target.z):
            return math.nan
        w = importance_weights(source, target)
        return 0.0 - float((w * e).sum() / w.sum())
