"""The length of a loss's gradient, to first order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def unit_step(gradients: Sequence[Tensor], r: float) -> list[Tensor]:
    """r * g / ||g||, || || over all tensors together; 0 where g = 0."""
    norm = torch.stack([g.norm() for g in gradients]).norm()
    return [r / norm.clamp(min=1e-12) * g for g in gradients]


def carry_gradient(value: Tensor, gradients: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """A scalar equal to `value`, constant but for its gradient in `weights`, which is `gradients`."""
    pairs = zip(gradients, weights, strict=True)
    return value.detach() + torch.stack([(g * (w - w.detach())).sum() for g, w in pairs]).sum()
