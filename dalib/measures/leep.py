"""How well the labels follow from the pretrained classifier's soft predictions."""

from __future__ import annotations

import math

from dalib.core.measure import Measure
from dalib.core.types import Outputs
from dalib.measures._expected_prediction import log_expected_prediction
from dalib.measures._guards import one_hot, usable


class LEEP(Measure):
    """Log expected empirical prediction, in nats, <= 0.

    score = mean_i log sum_z P(y_i|z) theta_iz,  theta = softmax(logits) over the pretrained classes z,
    P(y|z) = P(y, z) / P(z),  P(y, z) = sum_{i: y_i = y} theta_iz / n

    Reference
        Nguyen et al. LEEP: A New Measure to Evaluate Transferability of Learned Representations. ICML 2020.
        arXiv:2002.12462 (eq. 1 and 2).
    """

    needs_classifier = True
    paper = "nguyen2020leep"

    def score(self, outputs: Outputs) -> float:
        if not usable(outputs, classifier=True):
            return math.nan
        theta = outputs.logits.double().softmax(1)
        return float(log_expected_prediction(theta, one_hot(outputs.y)))
