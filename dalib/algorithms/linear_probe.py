"""Logistic regression on the backbone's frozen features."""

from __future__ import annotations

from dalib.core.algorithm import FeatureAlgorithm
from dalib.core.errors import DalibError


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
        super().check()
        if not 0 < self.C < float("inf"):
            raise DalibError(f"linear_probe.C = {self.C} is out of range; give a number > 0")
