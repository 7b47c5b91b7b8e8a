"""Regression in the space of a kernel, regularised by a graph of neighbours and by distances of means, in float64."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


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
