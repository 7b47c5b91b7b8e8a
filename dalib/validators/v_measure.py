"""Agreement of the target's predictions with clusters of its features: homogeneity and completeness."""

from __future__ import annotations

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.validators._clusters import agreement


class VMeasure(Validator):
    """V = 2 h c / (h + c),  h = 1 - H(guess | cluster) / H(guess),  c = 1 - H(cluster | guess) / H(cluster), in [0, 1].

    guess: predicted classes; cluster: k-means on z, K clusters. Not corrected for chance: with few rows per class it is
    high for any prediction. 0 for a model that predicts one class; nan with fewer than K rows.

    Reference
        Rosenberg & Hirschberg. V-Measure: A Conditional Entropy-Based External Cluster Evaluation Measure. EMNLP 2007.
        As a validator: Ericsson et al. Better Practices for Domain Adaptation. AutoML 2023. arXiv:2309.03879.
        Departure: one start of k-means++ with a fixed seed, where their code keeps the best of ten without one.
    """

    uses_features = True
    paper = "ericsson2023better"

    def score(self, source: Outputs, target: Outputs) -> float:
        from sklearn.metrics import v_measure_score

        return agreement(target, v_measure_score)
