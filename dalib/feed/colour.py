"""Colour jitter of a whole batch: torchvision's ColorJitter, another strength and order for every image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dalib.feed.placement import send

HUE = 0.25
"""Range of the hue as a part of the strength: ColorJitter(0.4, 0.4, 0.4, 0.1) is strength 0.4."""


@dataclass(frozen=True)
class Jitter:
    """What is done to each image, on the CPU.

    order (B, 4) int64: operations from first to last, 0 brightness, 1 contrast, 2 saturation, 3 hue; amount (B, 4)
    float32, column = operation: factors >= 0 for the first three, a part of the colour circle in [-.5, .5] for hue
    """

    order: Tensor
    amount: Tensor


def draw_jitter(strength: float, count: int, generator: torch.Generator | None) -> Jitter:
    """Parameters for `count` images, all from `generator` (CPU).

    As ColorJitter(s, s, s, s / 4) draws them: factors uniform in (1 - s, 1 + s), hue in (-s / 4, s / 4), any order.

    Args
        strength: s, in [0, 1]
    """
    u = torch.rand(2, count, 4, generator=generator)
    amount = strength * (2 * u[0] - 1)
    return Jitter(u[1].argsort(1), torch.cat([1 + amount[:, :3], HUE * amount[:, 3:]], 1))


def jitter_colours(pixels: Tensor, jitter: Jitter) -> Tensor:
    """Images (B, 3, H, W) with values 0..255 -> the same, float32, not rounded between the operations."""
    x = pixels.to(torch.float32, copy=True)
    for position in range(4):
        for operation, change in enumerate(OPERATIONS):
            rows = (jitter.order[:, position] == operation).nonzero().flatten()
            if len(rows):
                amount = send(jitter.amount[rows, operation], x.device).view(-1, 1, 1, 1)
                rows = send(rows, x.device)
                x[rows] = change(x[rows], amount)
    return x


def adjust_brightness(x: Tensor, factor: Tensor) -> Tensor:
    return (x * factor).clamp(0, 255)


def adjust_contrast(x: Tensor, factor: Tensor) -> Tensor:
    return (factor * x + (1 - factor) * grey(x).mean((2, 3), keepdim=True)).clamp(0, 255)


def adjust_saturation(x: Tensor, factor: Tensor) -> Tensor:
    return (factor * x + (1 - factor) * grey(x)).clamp(0, 255)


def adjust_hue(x: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue by `shift` of the colour circle; value and saturation stay."""
    value, low = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
    spread = value - low
    r, g, b = x.split(1, 1)
    sixth = torch.where(value == r, (g - b), torch.where(value == g, b - r + 2 * spread, r - g + 4 * spread))
    hue = 6 * shift + sixth / torch.where(spread == 0, 1, spread)
    away = torch.cat([(hue + n) % 6 for n in (5, 3, 1)], 1)
    return value - spread * torch.minimum(away, 4 - away).clamp(0, 1)


def grey(x: Tensor) -> Tensor:
    """Luma (B, 1, H, W)."""
    r, g, b = x.split(1, 1)
    return 0.2989 * r + 0.587 * g + 0.114 * b


OPERATIONS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    adjust_hue,
)
