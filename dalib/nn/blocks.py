"""Rows of two samples in parts, each of which looks like the whole."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dalib.nn.density_ratio import order_rows


def count_blocks(n_s: int, n_t: int, block: int) -> int:
    """Parts in which about block² pairs of rows meet: ceil(sqrt(n_s n_t) / block), at most min(n_s, n_t); 0 = one."""
    return min(max(1, math.ceil(math.sqrt(n_s * n_t) / block)), n_s, n_t) if block else 1


def deal_blocks(z_s: Tensor, z_t: Tensor, block: int) -> list[tuple[Tensor, Tensor]]:
    """z_s (n_s, d), z_t (n_t, d) -> for each of `count_blocks` parts the numbers of its rows of both samples.

    Rows are dealt out in their sorted order, like cards, so that every part is spread over its sample and the order in
    which rows come does not matter. One part has all rows as they come.
    """
    parts = count_blocks(len(z_s), len(z_t), block)
    if parts == 1:
        return [(torch.arange(len(z_s), device=z_s.device), torch.arange(len(z_t), device=z_t.device))]
    s, t = order_rows(z_s), order_rows(z_t)
    return [(s[k::parts], t[k::parts]) for k in range(parts)]
