"""Agreement of the target's predictions with clusters of its features: precision and recall of pairs."""

from __future__ import annotations

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.validators._clusters import agreement


class FMI(Validator):
    """FMI = both / sqrt(guessed * clustered), numbers of pairs of rows that share both, guess, cluster; in [0, 1].

    guess: predicted classes; cluster: k-means on z, K clusters. nan with fewer than K rows.

    Reference
        Fowlkes & Mallows. A Method for Comparing Two Hierarchical Clusterings. JASA 1983. As a validator: Ericsson et
        al. Better Practices for Domain Adaptation. AutoML 2023. arXiv:2309.03879. Departures: 0 for a model that
        predicts one class, whose FMI grows with the largest cluster; one start of k-means++ with a fixed seed, where
        their code keeps the best of ten without one.
    """

    uses_features = True
    paper = "ericsson2023better"

    def score(self, source: Outputs, target: Outputs) -> float:
        from sklearn.metrics import fowlkes_mallows_score

        return agreement(target, fowlkes_mallows_score)
