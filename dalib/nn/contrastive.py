"""Contrast with stored rows of every class."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot, pad


def contrast_with_classes(own: Tensor, stored: Tensor, filled: Tensor, y: Tensor, temperature: float) -> Tensor:
    """Mean over rows i of -mean_{k in P_i} log softmax(all of i's similarities / temperature)_k, a scalar >= 0.

    P_i, the positives: own_i and what is stored for class y_i. own (B,), stored (B, K, n) similarities; filled (K, n)
    bool, False = nothing is stored there; y (B,) in [0, K).
    Zhong et al. Bi-tuning of Pre-trained Representations. arXiv:2011.06182.
    """
    similarity = torch.cat([own[:, None], stored.masked_fill(~filled, -torch.inf).flatten(1)], 1) / temperature
    log_p = similarity.log_softmax(1)
    of_class = (one_hot(y, len(filled)).bool()[:, :, None] & filled).flatten(1)
    positive = torch.cat([torch.ones_like(own, dtype=torch.bool)[:, None], of_class], 1)
    return -(torch.where(positive, log_p, 0.0).sum(1) / positive.sum(1)).mean()


def push_rows(queue: Tensor, rows: Tensor, y: Tensor) -> Tensor:
    """The queue (K, n, d) with rows (B, d) of classes y (B,) put in front of what is stored for their classes.

    The first n rows of each class are kept: the batch's in their order, then the newest of those stored.
    """
    n = queue.shape[1]
    member = one_hot(y, len(queue))
    rank = (member.cumsum(0) * member).sum(1) - 1
    back = torch.arange(n, device=y.device) - member.sum(0)[:, None]
    moved = queue.gather(1, back.clamp(min=0)[:, :, None].expand_as(queue))
    moved = torch.cat([moved, moved[:, :1]], 1)
    moved[y, rank.clamp(max=n)] = rows
    return moved[:, :n].contiguous()


def extend_by_one(z: Tensor) -> Tensor:
    """z (B, d) -> [z, 1] of unit length (B, d + 1)."""
    return normalize(pad(z, (0, 1), value=1.0), dim=1)


def contrast_head_and_rows(
    h: Tensor, q: Tensor, w: Tensor, u: Tensor, queue: Tensor, y: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """(h against the classes' weights w, q against its other encoding u), see `contrast_with_classes`, two scalars.

    h (B, d) and w (K, d); q and u (B, p); the queue (K, n, d + p) holds keys [h, u] of earlier rows, zeros = none; all
    of unit length. y (B,) in [0, K). In the first contrast the queries are the weights w_y.
    Zhong et al. Bi-tuning of Pre-trained Representations. arXiv:2011.06182.
    """
    keys_h, keys_u = queue.split([h.shape[1], q.shape[1]], 2)
    of_head = (h * w[y]).sum(1), torch.einsum("cd,knd->ckn", w, keys_h)[y]
    of_rows = (q * u).sum(1), torch.einsum("bd,knd->bkn", q, keys_u)
    filled = (queue != 0).any(2)
    return contrast_with_classes(*of_head, filled, y, temperature), contrast_with_classes(
        *of_rows, filled, y, temperature
    )
