"""How many target rows share each other's prediction: the density of soft neighbourhoods."""

from __future__ import annotations

import math

import torch

from dalib.core.types import Outputs
from dalib.core.validator import Validator
from dalib.nn.entropy import prediction_entropy

_CHUNK = 1 << 22


class SND(Validator):
    """Soft neighbourhood density, in [0, log(n - 1)] nats; nan with fewer than two target rows.

    score = mean_i H(P_i),  P_ij = exp(cos(p_i, p_j) / temperature) / sum_{k != i} exp(cos(p_i, p_k) / temperature),
    p = softmax of target row i

    Best where all rows get one and the same prediction: it cannot tell collapse from agreement. It grows with log n, so
    compare candidates on the same rows.

    Args
        temperature: similarity that counts as a step away, dimensionless, > 0; the paper's 0.05
    Reference
        Saito et al. Tune it the Right Way: Unsupervised Validation of Domain Adaptation via Soft Neighborhood Density.
        ICCV 2021. arXiv:2108.10860. Departure: a row is left out of its own neighbourhood altogether, where the
        authors' code gives it the similarity -1 (a share below e^-20).
    """

    uses_probabilities = True
    paper = "saito2021snd"

    def __init__(self, temperature: float = 0.05) -> None:
        self.temperature = temperature

    def score(self, source: Outputs, target: Outputs) -> float:
        n = len(target.logits)
        if n < 2:
            return math.nan
        p = torch.nn.functional.normalize(target.p.double(), dim=1)
        total = 0.0
        for rows in torch.arange(n).split(max(1, _CHUNK // n)):
            similarity = p[rows] @ p.T / self.temperature
            similarity[torch.arange(len(rows)), rows] = -1e4  # no share, and 0 log 0 = 0 stays finite
            total += float(prediction_entropy(similarity).sum())
        return total / n
