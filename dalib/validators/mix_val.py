"""Does a mixture of two target rows get the label of the row that dominates it?"""

from __future__ import annotations

import math

import torch

from dalib.core.types import Outputs
from dalib.core.validator import Validator

_CHUNK = 1 << 22


class MixVal(Validator):
    """Mixed target samples as probes, in [0, 1]; nan without target rows, 0 when only one class is predicted.

    score = mean over pairs (a, b) with c_a != c_b of [argmax_k (lam logits_a + (1 - lam) logits_b)_k = c_a],
    c = argmax logits

    Args
        lam: share of the dominant row, in (0.5, 1); the paper's 0.55
    Reference
        Hu et al. Mixed Samples as Probes for Unsupervised Model Selection in Domain Adaptation. NeurIPS 2023.
        Departures: the paper mixes inputs and runs the network on them; only outputs are at hand, so logits are mixed,
        which is mixing features below a linear head. There its other probe, pairs of one predicted class, is always 1
        (a linear classifier's regions are convex) and is left out, and with it the average of the two probes' ranks.
        What remains says whether confidence is even across rows. All pairs, where the authors' code takes one partner
        a row.
    """

    paper = "hu2023mixval"

    def __init__(self, lam: float = 0.55) -> None:
        self.lam = lam

    def score(self, source: Outputs, target: Outputs) -> float:
        logits, c = target.logits, target.logits.argmax(1)
        n, K = logits.shape
        if not n:
            return math.nan
        right, pairs = 0, 0
        for a in torch.arange(n).split(max(1, _CHUNK // (n * K))):
            mixed = self.lam * logits[a, None] + (1 - self.lam) * logits
            own = mixed.gather(2, c[a, None, None].expand(-1, n, 1))[:, :, 0]
            other = c[a, None] != c
            right += int(((own == mixed.amax(2)) & other).sum())
            pairs += int(other.sum())
        return right / pairs if pairs else 0.0
