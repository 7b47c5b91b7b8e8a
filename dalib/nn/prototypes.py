"""Class centroids that move from batch to batch, and votes of the nearest rows of a memory."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot


def move_class_means(old: Tensor, z: Tensor, y: Tensor, rate: float) -> Tensor:
    """Class centroids after a batch, (K, d): (1 - rate) * old + rate * mean of the batch's rows of that class.

    old (K, d), a row of zeros = class not seen yet: it takes the batch's mean. A class that the batch lacks keeps its
    centroid. z (B, d), y (B,) in [0, K), rate in (0, 1]; the gradient goes to z.
    """
    member = one_hot(y, len(old)).to(z.dtype)
    count = member.sum(0)[:, None]
    mean = member.T @ z / count.clamp(min=1)
    moved = torch.where(seen(old)[:, None], (1 - rate) * old + rate * mean, mean)
    return torch.where(count > 0, moved, old)


def seen(rows: Tensor) -> Tensor:
    """rows (n, d) -> which of them are not all zero, (n,) bool."""
    return (rows != 0).any(1)


def sharpen_and_balance(p: Tensor) -> Tensor:
    """p (B, K) -> p² / column sums of p², (B, K): certain rows weigh more, every class of the batch alike.

    Liang et al. Domain Adaptation with Auxiliary Target Domain-Oriented Classifier. CVPR 2021. arXiv:2007.04171.
    """
    square = p.square()
    return square / square.sum(0).clamp(min=torch.finfo(p.dtype).tiny)


def vote_of_neighbours(z: Tensor, memory: Tensor, p: Tensor, own: Tensor, neighbours: int = 5) -> Tensor:
    """Mean prediction of the `neighbours` rows of a memory with the largest cosine to z, (B, K).

    z (B, d); memory (n, d) features and p (n, K) predictions, a row of zeros in p = nothing stored there yet; own (B,)
    the row of the memory that is z itself, which has no vote. Rows that are missing vote 0 for every class.
    Liang et al. Domain Adaptation with Auxiliary Target Domain-Oriented Classifier. CVPR 2021. arXiv:2007.04171.
    """
    cosine = normalize(z, dim=1) @ normalize(memory, dim=1).T
    cosine = cosine.masked_fill(~seen(p), -torch.inf).scatter(1, own[:, None], -torch.inf)
    value, nearest = cosine.topk(min(neighbours, len(memory)), dim=1)
    return (p[nearest] * value.isfinite()[:, :, None]).sum(1) / neighbours
