"""Boxes as tensors of fixed shape: labels (n, M, 5), answers (n, D, 6); padding has class -1 and zeros."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

NONE = -1
"""Class of padding."""


def as_targets(y: Tensor) -> list[dict[str, Tensor]]:
    """Labels y (B, M, 5) of class, left, top, right, bottom -> torchvision's targets, with class 0 for background."""
    told = []
    for row in y:
        there = row[row[:, 0] != NONE]
        told.append({"boxes": there[:, 1:].float(), "labels": there[:, 0].long() + 1})
    return told


def pack_answers(found: Sequence[dict[str, Tensor]], most: int, like: Tensor) -> Tensor:
    """torchvision's detections -> (B, most, 6) of class, score, left, top, right, bottom, best first.

    like: has the type and place of the result
    """
    out = like.new_zeros(len(found), most, 6)
    out[:, :, 0] = NONE
    for row, one in zip(out, found, strict=True):
        n = min(len(one["scores"]), most)
        best = one["scores"].argsort(descending=True, stable=True)[:n]
        row[:n, 0] = one["labels"][best].to(row) - 1
        row[:n, 1] = one["scores"][best]
        row[:n, 2:] = one["boxes"][best]
    return out


def take_sure(answers: Tensor, threshold: float) -> Tensor:
    """Answers (B, D, 6) with a score above the threshold, as labels (B, D, 5); the others become padding."""
    sure = (answers[..., 0] != NONE) & (answers[..., 1] > threshold)
    labels = answers[..., [0, 2, 3, 4, 5]]
    return torch.where(sure[..., None], labels, labels.new_tensor([NONE, 0, 0, 0, 0]))
