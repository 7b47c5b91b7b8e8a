"""Uncertainty of predictions."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.nn.discrepancy import as_float


def entropy(p: Tensor) -> Tensor:
    """p (…, K), rows summing to 1 -> Shannon entropy (…,) in nats, in [0, log K]; 0 log 0 = 0."""
    return torch.special.entr(p).sum(-1)


def prediction_entropy(logits: Tensor) -> Tensor:
    """logits (…, K) -> entropy (…,) of their softmax in nats; its gradient is finite however certain they are."""
    log_p = as_float(logits).log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)


def information_maximisation(logits_t: Tensor, diversity: float = 1.0) -> Tensor:
    """mean_i H(p_i) - diversity * H(mean_i p_i), a scalar; p = softmax(logits_t), H in nats.

    Smallest, -diversity * log K, when every prediction is certain and all classes are predicted equally often.
    logits_t (B, K). Liang et al. Do We Really Need to Access the Source Data? ICML 2020. arXiv:2002.08546 (eq. 3).
    Departure: a class whose probability underflows in the whole batch has no gradient, where the entropy's is infinite.
    """
    mean = as_float(logits_t).softmax(1).mean(0).clamp(min=torch.finfo(torch.float32).tiny)
    return prediction_entropy(logits_t).mean() - diversity * entropy(mean)


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
