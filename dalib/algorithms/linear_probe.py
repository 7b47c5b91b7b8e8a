"""A plain classifier on the backbone's frozen features: logistic regression, SVM, LDA or nearest neighbours."""

from __future__ import annotations

from dalib.algorithms._ranges import require_positive, require_whole
from dalib.core.algorithm import FeatureAlgorithm


class LinearProbe(FeatureAlgorithm):
    """A classifier solved on labelled features as they are; the target's unlabelled rows are not used.

    loss = 1/2 ||W||² + C * sum CE(W z_s + b, y_s), solved by L-BFGS, with the default classifier

    Args
        C: inverse regularisation of `logistic` and `svm`, > 0
        classifier: `logistic`, `svm`, `lda`, `k_nn` or `nearest`; the last two are not linear
        k: rows that vote in `k_nn`, >= 1
    Shapes
        z (n, d), y (n,)
    Reference
        Alain & Bengio. Understanding intermediate layers using linear classifier probes. 2016. arXiv:1610.01644.
        Departure: the features are those that enter the head, no others. `lda`: Ledoit & Wolf. A well-conditioned
        estimator for large-dimensional covariance matrices. Journal of Multivariate Analysis 2004.
    """

    family = "baseline"
    paper = "alain2016probes"
    space = {"C": [0.01, 0.1, 1.0, 10.0]}
    uses_target = False

    def __init__(self, C: float = 1.0, classifier: str = "logistic", k: int = 5) -> None:
        super().__init__()
        self.C = C
        self.classifier = classifier
        self.k = k

    def check(self) -> None:
        super().check()
        require_positive(self, "C")
        require_whole(self, "k")
