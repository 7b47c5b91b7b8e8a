"""Discriminators of places in a picture (positions of a map, regions), and the losses that they play with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


class PositionDiscriminator(nn.Sequential):
    """Scores every position of a map by itself: 1 x 1 convolutions with ReLUs between them, (B, C, h, w) -> (B, h, w).

    Args
        width: C
        hidden: channels of the layers inside
    """

    def __init__(self, width: int, *hidden: int) -> None:
        widths = [width, *hidden]
        layers: list[nn.Module] = []
        for before, after in zip(widths, hidden, strict=False):
            layers += [nn.Conv2d(before, after, 1), nn.ReLU()]
        super().__init__(*layers, nn.Conv2d(widths[-1], 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = super().forward(x)
        return scores[:, 0]


def domain_loss(d: Tensor, source: Tensor) -> Tensor:
    """Binary cross-entropy of scores d (n,), each domain a half; source (n,) bool. A domain without any counts 0."""
    each, s = softplus(torch.where(source, -d, d)), source.to(d)
    return ((each * s).sum() / s.sum().clamp(min=1) + (each * (1 - s)).sum() / (1 - s).sum().clamp(min=1)) / 2


def focal_loss(d: Tensor, source: bool, gamma: float) -> Tensor:
    """Mean of -(1 - p)^gamma log p, p = the probability by the scores d that their domain, the one given, is right."""
    right = d if source else -d
    return ((-right).sigmoid() ** gamma * softplus(-right)).mean()


def disagreement(maps: Sequence[Tensor], regions: Tensor, owner: Tensor) -> Tensor:
    """mean over regions j and levels of |mean over positions of p_i - p_ij|, p = sigmoid of the scores; 0 without any.

    Args
        maps: scores (B, h_l, w_l) of every level
        regions: scores (R,)
        owner: (R,) the picture i of each region
    """
    p = torch.stack([level.sigmoid().mean((1, 2)) for level in maps], 1)
    apart = (p[owner] - regions.sigmoid()[:, None]).abs()
    return apart.sum() / max(1, apart.numel())
