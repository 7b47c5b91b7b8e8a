"""How probable the labels are under a linear model of the features, averaged over its weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dalib.core.measure import Measure
from dalib.core.types import Outputs
from dalib.measures._guards import one_hot, usable

_STEPS, _TOLERANCE, _RANGE = 1000, 1e-10, 1e12


def maximum_evidence(F: Tensor, Y: Tensor) -> Tensor:
    """max over alpha, beta of log p(Y_k | F, alpha, beta) / n for every column k, (K,) nats per row.

    Y_k = F w + noise, w ~ N(0, I / alpha), noise ~ N(0, I / beta); F (n, d), Y (n, K) float64. The ratio t = alpha /
    beta is iterated to its fixed point, within factors of 1e12 of the largest squared singular value.
    """
    n = len(F)
    U, S, _ = torch.linalg.svd(F, full_matrices=False)
    sigma, x2 = S.square(), (U.T @ Y).square()
    outside = (Y.square().sum(0) - x2.sum(0)).clamp(min=0)
    top = sigma.max().clamp(min=torch.finfo(F.dtype).tiny)
    tiny = torch.finfo(F.dtype).tiny
    sigma = (sigma / top)[:, None]
    t = (1 / top).clamp(1 / _RANGE, _RANGE).expand(Y.shape[1])
    for _ in range(_STEPS):
        gamma = (sigma / (t + sigma)).sum(0)
        m2 = (sigma * x2 / (t + sigma).square()).sum(0)
        residual = (t.square() * x2 / (t + sigma).square()).sum(0) + outside
        alpha, beta = gamma / m2.clamp(min=tiny), (n - gamma).clamp(min=tiny) / residual.clamp(min=tiny)
        last, t = t, (alpha / beta).clamp(1 / _RANGE, _RANGE)
        if ((t - last).abs() <= _TOLERANCE * last).all():
            break
    beta = n / ((t / (t + sigma) * x2).sum(0) + outside).clamp(min=tiny)
    return (n * (beta.log() - math.log(2 * math.pi) - 1) - (sigma / t).log1p().sum(0)) / (2 * n)


class LogME(Measure):
    """Logarithm of maximum evidence, in nats per row.

    score = mean_k max_{alpha, beta} log p(Y_k | z, alpha, beta) / n,  Y = one-hot labels,
    log p = n/2 log beta + d/2 log alpha - n/2 log 2 pi - beta/2 |z m - Y_k|² - alpha/2 |m|² - log det(A) / 2,
    A = alpha I + beta zᵀ z,  m = beta A^(-1) zᵀ Y_k;  fixed point: gamma = sum_i beta sigma_i / (alpha + beta sigma_i),
    alpha = gamma / |m|²,  beta = (n - gamma) / |z m - Y_k|²

    Reference
        You et al. LogME: Practical Assessment of Pre-trained Models for Transfer Learning. ICML 2021.
        arXiv:2102.11005; the fixed point on singular values: You et al. Ranking and Tuning Pre-trained Models. JMLR
        2022. arXiv:2110.10545. Departure: iterated until alpha / beta stands still, where the released code stops
        after 11 steps or a change of 1 %; at that ratio beta = n / (|z m - Y_k|² + alpha / beta |m|²), as the fixed
        point has it.
    """

    paper = "you2021logme"

    def score(self, outputs: Outputs) -> float:
        if not usable(outputs):
            return math.nan
        return float(maximum_evidence(outputs.z.double(), one_hot(outputs.y)).mean())
