"""Soft labels that rows of a graph hand on to their neighbours."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.nn.manifold import cosine_laplacian


def propagate_labels(prior: Tensor, z: Tensor, neighbours: int, alpha: float, balance: bool) -> Tensor:
    """What each row is called after its neighbours have spoken: (n, K), float64, rows sum to 1.

    F = (I - alpha S)^(-1) prior,  S = D^(-1/2) W D^(-1/2) of the graph of `cosine_laplacian`;  with `balance` every
    column of F is divided by its sum, so that no class draws all rows; then rows are.

    Args
        prior: probabilities (n, K)
        z: features (n, d), taken less their mean
        neighbours: of each row in the graph
        alpha: part that comes from the neighbours, in [0, 1)
    """
    Y, x = prior.double(), z.double()
    S = torch.eye(len(x)).to(x) - cosine_laplacian(x - x.mean(0), neighbours)
    F = torch.linalg.solve(torch.eye(len(x)).to(x) - alpha * S, Y).clamp(min=0)
    if balance:
        F = F / F.sum(0).clamp(min=torch.finfo(F.dtype).tiny)
    return F / F.sum(1, keepdim=True).clamp(min=torch.finfo(F.dtype).tiny)
