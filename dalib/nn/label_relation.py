"""How the classes of a pretrained classifier relate to those of the data at hand."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.nn.discrepancy import as_float
from dalib.nn.episodes import class_means


def class_relationship(old_logits: Tensor, y: Tensor, num_classes: int, temperature: float = 1.0) -> Tensor:
    """p(old class | class) (K, K_old): mean of softmax(logits / temperature) over the rows of each class.

    old_logits (n, K_old), y (n,) in [0, K), temperature > 0; a class without rows has zeros. You et al. Co-Tuning for
    Transfer Learning. NeurIPS 2020 (the direct approach).
    """
    return class_means((as_float(old_logits) / temperature).softmax(1), y, num_classes)[0]


def soft_cross_entropy(logits: Tensor, p: Tensor, temperature: float = 1.0) -> Tensor:
    """mean_i -sum_k p_ik log softmax(logits_i / temperature)_k, a scalar; logits (B, K), p (B, K) constant."""
    return -(p.detach() * torch.log_softmax(as_float(logits) / temperature, 1)).sum(1).mean()
