"""How many directions the target's predictions fill: their effective rank."""

from __future__ import annotations

import math

import torch

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.nn.entropy import entropy
from dalib.validators._guards import usable


class RankMe(Validator):
    """exp(-sum_k q_k log q_k),  q_k = sigma_k(p_t) / sum_j sigma_j(p_t) + 1e-7, in [1, K].

    1 for a model that predicts the same for every row, K for certain predictions spread evenly over the classes.

    Reference
        Garrido et al. RankMe: Assessing the Downstream Performance of Pretrained Self-Supervised Representations by
        Their Rank. ICML 2023. arXiv:2210.02885 (eq. 1). As a validator: Ericsson et al. 2023, arXiv:2309.03879.
        Departure: the matrix holds the class probabilities, one of the inputs that Ericsson et al. try, where RankMe
        takes features. Features that separate K classes well have rank K, and noise has a larger one.
    """

    uses_probabilities = True
    paper = "garrido2023rankme"

    def score(self, source: Outputs, target: Outputs) -> float:
        if not usable(target):
            return math.nan
        sigma = torch.linalg.svdvals(target.p.double())
        return float(entropy(sigma / sigma.sum() + 1e-7).exp())
