"""Weighted accuracy on held-out source rows, with a control variate against the spread of the weights."""

from __future__ import annotations

import math

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.validators._weights import importance_weights, source_errors


class DEV(Validator):
    """Deep embedded validation; nan with fewer than two held-out rows, or without labels.

    score = -(mean l + eta mean w - eta),  l = w e,  eta = -cov(l, w) / var w,  w = p_t(z) / p_s(z),
    e_i = 1 where source row i is predicted wrongly

    mean w is 1 in expectation, so eta changes the spread and not the mean. 0 without an error, -1 with nothing else;
    it may leave [-1, 0]. Equal weights: eta = 0.

    Reference
        You et al. Towards Accurate Model Selection in Deep Unsupervised Domain Adaptation. ICML 2019.
        Departures: the domain classifier is a ridge logistic regression for a grid of three-layer networks, fitted to
        the held-out source rows (each left out of its own weight) for the training rows, which validators do not see.
    """

    uses_features = True
    paper = "you2019dev"

    def score(self, source: Outputs, target: Outputs) -> float:
        e = source_errors(source)
        if not len(e) or not len(target.z):
            return math.nan
        w = importance_weights(source, target)
        weighted = w * e
        spread = w - w.mean()
        eta = -(spread * weighted).sum() / spread.square().sum().clamp(min=1e-12 * float(w.square().sum()))
        return 0.0 - float(weighted.mean() + eta * w.mean() - eta)
