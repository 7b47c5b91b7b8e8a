"""Confident and diverse predictions on the target."""

from __future__ import annotations

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.nn.entropy import entropy


class InformationMaximisation(Validator):
    """H(mean p_t) - mean H(p_t), the mutual information of row and class, in [0, log K] nats; nan without target rows.

    Reference
        Shi & Sha. Information-Theoretical Learning of Discriminative Clusters for Unsupervised Domain Adaptation. ICML
        2012. arXiv:1206.6438. As a validator: Musgrave et al. 2022, arXiv:2208.07360.
    """

    uses_probabilities = True
    paper = "shi2012infomax"

    def score(self, source: Outputs, target: Outputs) -> float:
        p = target.p.double()
        return float(entropy(p.mean(0)) - entropy(p).mean())
