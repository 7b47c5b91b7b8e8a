"""Modules that follow others."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def move_towards(followers: Iterable[nn.Module], followed: Iterable[nn.Module], part: Tensor) -> None:
    """follower := follower + part * (followed - follower), in place, for parameters and buffers; whole numbers copied.

    part: a scalar in [0, 1]; the modules are pairs of one architecture.
    """
    for mine, new in zip(_state(followers), _state(followed), strict=True):
        mine.add_(part * (new - mine)) if mine.is_floating_point() else mine.copy_(new)


def _state(modules: Iterable[nn.Module]) -> list[Tensor]:
    return [t for m in modules for t in (*m.parameters(), *m.buffers())]
