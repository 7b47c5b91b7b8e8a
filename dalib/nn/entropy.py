"""Uncertainty of predictions."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.nn.discrepancy import as_float


def entropy(p: Tensor) -> Tensor:
    """p (…, K), rows summing to 1 -> Shannon entropy (…,) in nats, in [0, log K]; 0 log 0 = 0."""
    return torch.special.entr(p).sum(-1)


def class_confusion(logits_t: Tensor, temperature: float = 2.5) -> Tensor:
    """Minimum class confusion of a batch of predictions, a scalar in [0, 1].

    p = softmax(logits / T);  W_i = 1 + e^(-H(p_i)), scaled to mean 1, constant;
    C = pᵀ diag(W) p, rows scaled to sum 1;  loss = (sum C - tr C) / K

    logits_t (B, K). Jin et al. Minimum Class Confusion for Versatile Domain Adaptation. ECCV 2020. arXiv:1912.03699
    (eq. 2-7). Departure: a class whose probability underflows everywhere contributes 0 in place of 0/0.
    """
    p = (as_float(logits_t) / temperature).softmax(1)
    weight = 1 + torch.exp(-entropy(p.detach()))
    confusion = p.T @ (p * (weight / weight.mean())[:, None])
    total = confusion.sum(1)
    floor = torch.finfo(p.dtype).tiny ** 0.5
    return ((total - confusion.diagonal()) / total.clamp(min=floor)).mean()
