"""Certain and diverse predictions on the target: their nuclear norm."""

from __future__ import annotations

import math

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.nn.spectrum import nuclear_norm
from dalib.validators._guards import usable


class BNM(Validator):
    """||p_t||_* / n, the sum of the singular values over the number of rows, in (0, sqrt(min(n, K) / n)].

    Reference
        Cui et al. Towards Discriminability and Diversity: Batch Nuclear-norm Maximization under Label Insufficient
        Situations. CVPR 2020. arXiv:2003.12237. As a validator: Musgrave et al. 2022, arXiv:2208.07360. The norm is of
        all target rows at once, not of a batch.
    """

    uses_probabilities = True
    paper = "cui2020bnm"

    def score(self, source: Outputs, target: Outputs) -> float:
        return float(nuclear_norm(target.p.double())) / len(target.z) if usable(target) else math.nan
