"""The label of the nearest source row: the plainest classifier on fixed features."""

from dalib.core.feature_algorithm import FeatureAlgorithm


class NearestNeighbour(FeatureAlgorithm):
    """1-NN by Euclidean distance on the features as they are; the target is not used.

    logit of class c = -min ||z - z_s_i|| over source rows i of class c

    Shapes
        z (n, d), y (n,)
    Reference
        Cover & Hart. Nearest neighbor pattern classification. IEEE Transactions on Information Theory 1967.
    """

    family = "baseline"
    paper = "cover1967nearest"
    uses_target = False
    classifier = "nearest"
    C = 1.0
    k = 5
