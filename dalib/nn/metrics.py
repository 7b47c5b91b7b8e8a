"""Scores of predictions."""

from __future__ import annotations

from torch import Tensor


def accuracy(logits: Tensor, y: Tensor) -> float:
    """logits (n, K), y (n,) -> part of the rows whose largest logit is the label, in [0, 1]; nan without rows."""
    return float((logits.argmax(1) == y).double().mean())
