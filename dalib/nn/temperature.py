"""The one number that makes probabilities as sure as they are right."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LEAST, MOST = 0.02, 50.0


def fit_temperature(logits: Tensor, y: Tensor) -> float:
    """T in [0.02, 50] that makes the labels y (n,) likeliest under softmax(logits / T), logits (n, K); 1 without rows.

    Every label is given 1 / (n + 2) less than certainty, spread over all classes (Platt's targets), so that rows which
    are all right do not ask for T = 0. Guo et al. On Calibration of Modern Neural Networks. ICML 2017. The loss is
    convex in 1 / T, so that a golden-section search over log T finds its least value.
    """
    if not len(y):
        return 1.0
    logits, eps = logits.double(), 1 / (len(y) + 2)

    def loss(log_t: float) -> float:
        scaled = logits / math.exp(log_t)
        return float(torch.nn.functional.cross_entropy(scaled, y, label_smoothing=eps))

    low, high, golden = math.log(LEAST), math.log(MOST), (math.sqrt(5) - 1) / 2
    for _ in range(50):
        a, b = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return math.exp((low + high) / 2)
