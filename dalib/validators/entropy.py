"""Confidence on the target: minus the mean entropy of its predictions."""

from __future__ import annotations

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.nn.entropy import entropy


class Entropy(Validator):
    """-mean H(p_t), in [-log K, 0] nats; nan without target rows. A collapsed, confident model scores well.

    Reference
        Morerio et al. Minimal-Entropy Correlation Alignment for Unsupervised Deep Domain Adaptation. ICLR 2018.
        arXiv:1711.10288.
    """

    uses_probabilities = True
    paper = "morerio2018entropy"

    def score(self, source: Outputs, target: Outputs) -> float:
        return -float(entropy(target.p.double()).mean())
