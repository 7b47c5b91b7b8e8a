"""Learnt vectors among the tokens of a sentence, and learning from confident answers alone."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def make_room(ids: Tensor, n: int) -> Tensor:
    """Token ids (r, L) -> (r, L + n): n places behind the start token, which hold the first word's id."""
    return torch.cat([ids[:, :1], ids[:, 1:2].expand(-1, n), ids[:, 1:]], dim=1)


def insert_context(vectors: Tensor, context: Tensor, domain: Tensor) -> Tensor:
    """Tokens' vectors (D, K, L, e) of K classes in D domains -> (D, K, L + M + N, e): start, context, domain, the rest.

    Args
        context: of each class (K, M, e), whatever the domain
        domain: of each domain (D, N, e), whatever the class
    """
    d, k = vectors.shape[:2]
    learnt = [context.expand(d, -1, -1, -1), domain.unsqueeze(1).expand(-1, k, -1, -1)]
    return torch.cat([vectors[:, :, :1], *learnt, vectors[:, :, 1:]], dim=2)


def confident_cross_entropy(logits: Tensor, p: Tensor, threshold: float) -> Tensor:
    """Mean of -log softmax(logits)_ik, k = argmax p_i, over the rows whose max p_i >= threshold; 0 without one."""
    top, label = p.max(1)
    sure = (top >= threshold).to(logits)
    return (cross_entropy(logits, label, reduction="none") * sure).sum() / sure.sum().clamp(min=1)
