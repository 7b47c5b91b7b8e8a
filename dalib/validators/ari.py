"""Agreement of the target's predictions with clusters of its features: pairs of rows above chance."""

from __future__ import annotations

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.validators._clusters import agreement


class ARI(Validator):
    """ARI = (R - E R) / (max R - E R),  R = pairs of rows that share both guess and cluster; 1 = same, 0 = chance.

    guess: predicted classes; cluster: k-means on z, K clusters. 0 for a model that predicts one class; nan with fewer
    than K rows.

    Reference
        Hubert & Arabie. Comparing Partitions. Journal of Classification 1985. As a validator: Ericsson et al. Better
        Practices for Domain Adaptation. AutoML 2023. arXiv:2309.03879. Departure: one start of k-means++ with a
        fixed seed, where their code keeps the best of ten without one.
    """

    uses_features = True
    paper = "ericsson2023better"

    def score(self, source: Outputs, target: Outputs) -> float:
        from sklearn.metrics import adjusted_rand_score

        return agreement(target, adjusted_rand_score)
