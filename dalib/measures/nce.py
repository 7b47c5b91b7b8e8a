"""How well the labels follow from the class that the pretrained classifier names."""

from __future__ import annotations

import math

import torch

from dalib.core.measure import Measure
from dalib.core.types import Outputs
from dalib.measures._guards import one_hot, usable


class NCE(Measure):
    """Negative conditional entropy of the labels given the predicted pretrained class, in nats, <= 0.

    score = -H(Y|Z) = sum_{y, z} P(y, z) log(P(y, z) / P(z)),  Z_i = argmax logits_i,  P = frequencies among the n rows

    Reference
        Tran, Nguyen & Hassner. Transferability and Hardness of Supervised Classification Tasks. ICCV 2019.
        arXiv:1908.08142. Departure: the paper conditions on the labels of the source task; target rows have none, so
        the classifier's predictions stand for them, as in the comparisons of Nguyen et al. 2020.
    """

    needs_classifier = True
    paper = "tran2019nce"

    def score(self, outputs: Outputs) -> float:
        if not usable(outputs, classifier=True):
            return math.nan
        joint = one_hot(outputs.y).T @ one_hot(outputs.logits.argmax(1)) / len(outputs.z)
        return float((torch.special.xlogy(joint, joint) - torch.special.xlogy(joint, joint.sum(0))).sum())
