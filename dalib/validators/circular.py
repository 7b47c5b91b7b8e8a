"""The way back: do the target's predicted labels predict the source's true ones?"""

from __future__ import annotations

import math

import torch

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.nn.ridge import fit_ridge


class Circular(Validator):
    """Circular (reverse) validation, in [0, 1]; nan without target rows, held-out rows or labels.

    c = argmax logits_t;  W, b = argmin sum_i ||z_i W + b - onehot(c_i)||² + v ||W||² on the target;
    score = accuracy of argmax(z_s W + b) for y_s

    v: total variance of z_t, so units do not matter. Equally large classes share a row's hit.

    Reference
        Bruzzone & Marconcini. Domain Adaptation Problems: A DASVM Classification Technique and a Circular Validation
        Strategy. TPAMI 2010. Zhong et al. Cross Validation Framework to Choose amongst Models and Datasets for Transfer
        Learning. ECML PKDD 2010.
        Departures: the papers train the whole method again in the other direction; here the model's features stay, and
        the way back is a ridge classifier on them. Where target and source features coincide it finds the model's own
        linear head again, and the score is near the source accuracy. No density ratio weights the source rows, as in
        Zhong et al.
    """

    uses_features = True
    paper = "bruzzone2010circular"

    def score(self, source: Outputs, target: Outputs) -> float:
        if source.y is None or not len(source.y) or not len(target.z):
            return math.nan
        z, K = target.z.double(), target.logits.shape[1]
        c = torch.nn.functional.one_hot(target.logits.argmax(1), K).double()
        W, b = fit_ridge(z, c, 1 / len(z))
        back = source.z.double() @ W + b
        best = back == back.amax(1, keepdim=True)
        hit = best[torch.arange(len(source.y)), source.y]
        return float((hit.double() / best.sum(1)).mean())
