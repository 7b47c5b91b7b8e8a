"""Logistic regression on the backbone's frozen features."""

from __future__ import annotations

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import FeatureAlgorithm


class LinearProbe(FeatureAlgorithm):
    """Multinomial logistic regression on source features as they are; the target is not used.

    loss = 1/2 ||W||² + C * sum CE(W z_s + b, y_s), solved by L-BFGS

    Args
        C: inverse regularisation, > 0
    Shapes
        z (n, d), y (n,)
    Reference
        Alain & Bengio. Understanding intermediate layers using linear classifier probes. 2016. arXiv:1610.01644.
        Departure: the features are those that enter the head, no others.
    """

    family = "baseline"
    paper = "alain2016probes"
    space = {"C": [0.01, 0.1, 1.0, 10.0]}
    uses_target = False
    classifier = "logistic"

    def __init__(self, C: float = 1.0) -> None:
        super().__init__()
        self.C = C

    def check(self) -> None:
        require_positive(self, "C")
