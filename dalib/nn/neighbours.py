"""Nearest rows of a memory, and how far a prediction agrees with theirs."""

from __future__ import annotations

import torch
from torch import Tensor


def nearest_rows(z: Tensor, memory: Tensor, own: Tensor, count: int) -> Tensor:
    """Numbers of the `count` rows of a memory with the largest inner product to each z, (…, count), nearest first.

    z (…, d); memory (n, d); own (…) int64, the row of the memory that is z itself and is left out. A memory of fewer
    other rows gives all of them.
    """
    similarity = (z @ memory.T).scatter(-1, own[..., None], -torch.inf)
    return similarity.topk(min(count, len(memory) - 1), dim=-1).indices


def agreement(p: Tensor, others: Tensor, weight: Tensor | None = None) -> Tensor:
    """mean_i sum_k w_ik <p_i, q_ik>, a scalar: largest when each row predicts with certainty what its others do.

    p (B, K), others q (B, k, K), weight w (B, k), all 1 unless given.
    """
    each = (others * p[:, None]).sum(-1)
    return (each if weight is None else weight * each).sum(1).mean()


def dispersion(p: Tensor) -> Tensor:
    """mean_i sum_{m != i} <p_i, p_m> over a batch p (B, K), a scalar: 0 when no two rows predict the same class."""
    similarity = p @ p.T
    return (similarity.sum() - similarity.diagonal().sum()) / len(p)
