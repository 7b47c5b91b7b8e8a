"""Agreement of the target's predictions with clusters of its features: mutual information above chance."""

from __future__ import annotations

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.validators._clusters import agreement


class AMI(Validator):
    """AMI = (I - E I) / ((H(guess) + H(cluster)) / 2 - E I),  I = I(guess; cluster); 1 = the same, 0 = chance.

    guess: predicted classes; cluster: k-means on z, K clusters; E I over random partitions of the same sizes. 0 for a
    model that predicts one class; nan with fewer than K rows.

    Reference
        Vinh, Epps & Bailey. Information Theoretic Measures for Clusterings Comparison. JMLR 2010. As a validator:
        Musgrave, Belongie & Lim. Three New Validators and a Large-Scale Benchmark Ranking for Unsupervised Domain
        Adaptation. 2022. arXiv:2208.07360 (ClassAMI, target features). Departure: one start of k-means++ with a
        fixed seed. Their clusters start at the means of the predicted classes, and with few rows per class many stay
        there, so that a model agrees with itself.
    """

    uses_features = True
    paper = "musgrave2022validators"

    def score(self, source: Outputs, target: Outputs) -> float:
        from sklearn.metrics import adjusted_mutual_info_score

        return agreement(target, adjusted_mutual_info_score)
