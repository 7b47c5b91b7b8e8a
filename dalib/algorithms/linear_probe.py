"""A plain classifier on the backbone's frozen features: logistic regression, SVM, LDA or nearest neighbours."""

from dalib.core.feature_algorithm import SOLVED, FeatureAlgorithm
from dalib.core.hyper import choice, positive
from dalib.nn.classifiers import CLASSIFIERS


class LinearProbe(FeatureAlgorithm):
    """A classifier solved on labelled features as they are; the target's unlabelled rows are not used.

    loss = 1/2 ||W||² + C * sum CE(W z_s + b, y_s), solved by L-BFGS, with the default classifier
    two classes: ||W||² + C * sum CE, as scikit-learn has it

    Shapes
        z (n, d), y (n,)
    Reference
        Alain & Bengio. Understanding intermediate layers using linear classifier probes. 2016. arXiv:1610.01644.
        Departure: the features are those that enter the head, no others. `lda`: Ledoit & Wolf. A well-conditioned
        estimator for large-dimensional covariance matrices. Journal of Multivariate Analysis 2004.
    """

    family = "baseline"
    objectives = SOLVED
    paper = "alain2016probes"
    uses_target = False
    C: float = positive(
        default=1.0, search=(0.01, 0.1, 1.0, 10.0), doc="inverse regularisation of `logistic` and `svm`"
    )
    classifier: str = choice(default="logistic", options=CLASSIFIERS, doc="`k_nn` and `nearest` are not linear")
