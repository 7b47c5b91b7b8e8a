"""Columns of a table brought to one scale inside a network, from the rows that it is trained on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FARTHEST = 3.0
"""Values beyond so many times the training rows' reach are cut off there."""


class ColumnReach(nn.Module):
    """x (B, d) -> (x - m) / r in [-3, 3]: m a column's mean, r the largest |x - m| among the rows seen in training.

    Unlike a batch norm it does not divide by the deviation: a column that is almost always the same (a rare word) has
    one near 0, which would multiply its few other values, and those of another domain above all, by hundreds. A column
    that never differed in training says nothing, whatever it holds later: it gives 0. Before the first training batch
    rows pass as they are.

    Buffers: mean (d,), reach (d,), rows (): how many were seen. In training mode they take in the batch, then scale it.
    """

    mean: Tensor
    reach: Tensor
    rows: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("reach", torch.zeros(width))
        self.register_buffer("rows", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                self.rows += len(x)
                self.mean += (x - self.mean).sum(0) / self.rows
                self.reach.copy_(torch.maximum(self.reach, (x - self.mean).abs().amax(0)))
        differs = ~(self.reach <= 1e-5 * self.mean.abs())  # so that nan is handed on
        scaled = (x - self.mean) / torch.where(differs, self.reach, 1.0)
        out = torch.where(differs, scaled, 0.0).clamp(-FARTHEST, FARTHEST)
        return torch.where(self.rows > 0, out, x)
