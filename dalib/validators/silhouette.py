"""Predicted classes that are compact and apart in the target's features: mean silhouette of a row."""

from __future__ import annotations

import math

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.validators._guards import usable


class Silhouette(Validator):
    """mean (b - a) / max(a, b), in [-1, 1];  a = mean distance to its own class, b = to the nearest other class.

    Classes are predicted ones. -1 for a model that predicts one class; 0 for a row that is alone in its class.

    Reference
        Rousseeuw. Silhouettes: A Graphical Aid to the Interpretation and Validation of Cluster Analysis. J. Comput.
        Appl. Math. 1987. As a validator: Ericsson et al. Better Practices for Domain Adaptation. AutoML 2023.
        arXiv:2309.03879. Departure: they score k-means clusters, which the predictions do not enter.
    """

    uses_features = True
    paper = "ericsson2023better"

    def score(self, source: Outputs, target: Outputs) -> float:
        if not usable(target):
            return math.nan
        from sklearn.metrics import silhouette_score

        guess = target.logits.argmax(1)
        k = len(guess.unique())
        if k == 1 or k == len(guess):
            return -1.0 if k == 1 else 0.0
        z = target.z.double()
        return float(silhouette_score((z - z.mean(0)).numpy(), guess.numpy()))
