"""The way back: do the target's predicted labels predict the source's true ones?"""

from __future__ import annotations

import math

import torch

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.nn.classifiers import fit_classifier, score_classifier


class Circular(Validator):
    """Circular (reverse) validation, in [0, 1]; nan without target rows, held-out rows or labels.

    score = accuracy on (z_s, y_s) of the nearest-neighbour rule fitted to (z_t, argmax logits_t)

    A row whose nearest neighbours lie equally far and disagree counts in part.

    Reference
        Bruzzone & Marconcini. Domain Adaptation Problems: A DASVM Classification Technique and a Circular Validation
        Strategy. TPAMI 2010. Zhong et al. Cross Validation Framework to Choose amongst Models and Datasets for Transfer
        Learning. ECML PKDD 2010.
        Departures: the way back reuses the model's features and fits 1-NN to them, where the papers train the whole
        method again in the other direction (a linear rule would only find the model's own head again); no density
        ratio weights the source rows, as Zhong et al. do.
    """

    paper = "bruzzone2010circular"

    def score(self, source: Outputs, target: Outputs) -> float:
        if source.y is None or not len(source.y) or not len(target.z):
            return math.nan
        K = target.logits.shape[1]
        back = fit_classifier("nearest", target.z, target.logits.argmax(1), 1.0, K)
        logits = score_classifier("nearest", source.z, back, K)
        best = logits == logits.amax(1, keepdim=True)
        hit = best[torch.arange(len(source.y)), source.y]
        return float((hit.double() / best.sum(1)).mean())
