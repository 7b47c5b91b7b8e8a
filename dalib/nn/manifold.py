"""Regression in the space of a kernel, regularised by a graph of neighbours and by distances of means, in float64."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from dalib.nn.classifiers import ABSENT, fit_classifier, score_classifier
from dalib.nn.components import kernel_features, mean_contrasts
from dalib.nn.separability import estimate_balance


def cosine_laplacian(z: Tensor, k: int) -> Tensor:
    """z (n, d) -> L = I - D^(-1/2) W D^(-1/2) (n, n), D = diag(W 1), positive semi-definite.

    W_ij = cos(z_i, z_j), at least 0, if j is i, one of the k most alike rows of i, or the other way round; else 0.
    """
    x = normalize(z)
    cosine, nearest = (x @ x.T).fill_diagonal_(torch.inf).topk(min(k + 1, len(x)))
    cosine = torch.where(cosine.isinf(), x.square().sum(1, keepdim=True), cosine.clamp(min=0))
    W = torch.zeros(len(x), len(x)).to(x).scatter(1, nearest, cosine)
    W = torch.maximum(W, W.T)
    D = W.sum(1)
    scale = torch.where(D > 0, D, torch.inf).rsqrt()
    return torch.eye(len(x)).to(x) - scale[:, None] * W * scale


def fit_aligned(K: Tensor, y: Tensor, E: Tensor, L: Tensor, weight: float, rho: float, eta: float) -> Tensor:
    """Coefficients beta (n, m) of f = K beta that fits the first n_s rows, smooth over a graph, means kept together.

    argmin ||y - f||² over the first n_s rows + tr fᵀ (weight E Eᵀ + rho L) f + eta ||f||²
    beta = ((S + weight E Eᵀ + rho L) K + eta I)^(-1) S y,  S = diag(1 for the first n_s rows, else 0)
    ||f||² = tr betaᵀ K beta; K (n, n) positive semi-definite, y (n_s, m), E (n, .) from `mean_contrasts`, L (n, n)
    """
    target = torch.cat([y, y.new_zeros(len(K) - len(y), y.shape[1])])
    S = (torch.arange(len(K)) < len(y)).to(K).diag()
    return torch.linalg.solve((S + weight * E @ E.T + rho * L) @ K + eta * torch.eye(len(K)).to(K), target)


def fit_with_own_labels(
    g_s: Tensor,
    y_s: Tensor,
    g_t: Tensor,
    classes: int,
    *,
    mu: float | None,
    weight: float,
    rho: float,
    eta: float,
    neighbours: int,
    iterations: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """`fit_aligned` again and again, each time with the labels that the last solution gives the target.

    It begins with those of 1-NN and ends when none changes, after `iterations` at the latest. g_s (n_s, d) and
    g_t (n_t, d) float64; y_s (n_s,) in [0, classes); mu in [0, 1], None = estimated each time (`estimate_balance`).
    Returns (z, beta, bias): all rows z (n, d) at unit length; scores are f(x) = k(x, z) beta + bias with the kernel
    k(a, b) = exp(-||a - b||² / 2).
    Wang et al. Visual Domain Adaptation with Manifold Embedded Distribution Alignment. ACM MM 2018. arXiv:1807.07258.
    """
    z, Y = normalize(torch.cat([g_s, g_t])), one_hot(y_s, classes).double()
    K, L = kernel_features("rbf", z, z, 0.5), cosine_laplacian(z, neighbours)
    bias = torch.where(Y.any(0), 0.0, ABSENT).double()
    nearest = fit_classifier("nearest", z[: len(g_s)], y_s, 1.0, classes)
    y_t = score_classifier("nearest", z[len(g_s) :], nearest, classes).argmax(1)
    for _ in range(iterations):
        part = estimate_balance(g_s, y_s, g_t, y_t) if mu is None else mu
        E = mean_contrasts(y_s, len(g_t), y_t, (1 - part) * len(y_s.unique()), part)
        beta = fit_aligned(K, Y, E, L, weight, rho, eta)
        before, y_t = y_t, (K[len(g_s) :] @ beta + bias).argmax(1)
        if torch.equal(y_t, before):
            break
    return z, beta, bias
