"""From a classifier's own classes to others by what their names mean."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def combine_semantics(logits: Tensor, known: Tensor, asked: Tensor, top: int) -> Tensor:
    """ConSE: cosine (n, K) of each row's convex combination of class names with the names asked for.

    f_i = sum_{t <= top} p_it s_t / sum_{t <= top} p_it over the `top` most probable classes;  cos(f_i, s'_k)

    Args
        logits: (n, M) of the classes that the classifier knows; p = softmax over all M
        known, asked: vectors of the names (M, e), (K, e)
        top: how many of the M are looked at
    """
    p, index = logits.softmax(1).topk(min(top, logits.shape[1]), dim=1)
    weight = torch.zeros_like(logits).scatter(1, index, p / p.sum(1, keepdim=True))
    return normalize(weight @ known.to(logits), dim=1) @ normalize(asked.to(logits), dim=1).T


def scale_cosines(z: Tensor, t: Tensor, scale: Tensor) -> Tensor:
    """scale * cos(z_i, t_k) of features (n, d) and texts (K, d) -> (n, K), as CLIP compares them."""
    return scale * normalize(z, dim=1) @ normalize(t, dim=1).T
