"""Low-rank updates of frozen weights."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class LowRank(nn.Module):
    """W -> W + scale * B A, with W seen as a matrix (out, in * kernel size); nothing changes until B learns.

    Args
        shape: of W, (out, in) or (out, in, kH, kW)
        rank: columns of B (out, r) and rows of A (r, in * kH * kW); at most the smaller side of W
        scale: constant factor
    Reference
        Hu et al. LoRA: Low-Rank Adaptation of Large Language Models. ICLR 2022. arXiv:2106.09685.
    """

    def __init__(self, shape: torch.Size, rank: int, scale: float) -> None:
        super().__init__()
        rows, columns = shape[0], math.prod(shape[1:])
        rank = min(rank, rows, columns)
        self.scale = scale
        self.A = nn.Parameter(torch.empty(rank, columns))
        self.B = nn.Parameter(torch.zeros(rows, rank))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))

    def forward(self, W: Tensor) -> Tensor:
        return W + self.scale * (self.B @ self.A).view(W.shape)


def add_low_rank_updates(module: nn.Module, rank: int, scale: float) -> list[LowRank]:
    """Give every Linear, every Conv2d without groups and every attention's input projection in `module` an update.

    The weight `w` of a layer becomes `parametrizations.w.original` in the state dict, and `layer.w` is the updated one.
    An update that is there already becomes part of the weight, and a new one takes its place.
    """
    made = []
    for layer in list(module.modules()):
        dense = isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
        name = "weight" if dense else "in_proj_weight"
        weight = getattr(layer, name, None)
        if weight is None or weight.ndim < 2:
            continue
        update = LowRank(weight.shape, rank, scale).to(weight)
        made.append(update)
        parts: Any = getattr(getattr(layer, "parametrizations", None), name, None)
        if parts is not None and isinstance(parts[0], LowRank):
            parts.original.data = weight.detach().clone()
            parts[0] = update
        else:
            parametrize.register_parametrization(layer, name, update)
    return made
