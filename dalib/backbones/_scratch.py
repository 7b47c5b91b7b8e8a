"""What networks that are built to fit their rows share: weights, and checks of rows and options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from dalib.backbones._weights import find_file, hash_state, load_state, read_state
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.rows import RowShape


def load_own(backbone: Backbone, weights: str) -> Backbone:
    """The backbone with the weights of a file; `none` (and `imagenet`, the general default) leaves the random ones."""
    if weights in ("none", "imagenet"):
        return backbone
    path = find_file(weights, ("none",))
    load_state(backbone.module, read_state(path), (), backbone.name, path.name)
    backbone.weights, backbone.weights_hash = Path(weights).name, hash_state(backbone.module)
    return backbone


def require_rows(name: str, rows: RowShape, axes: int, ids: bool, what: str) -> None:
    """DalibError unless the rows have so many axes and are, if asked for, whole numbers."""
    if rows.fields or len(rows.shape) != axes or (ids and not rows.ids):
        raise DalibError(f"backbone '{name}' takes {what}; these rows are {rows}")


def require_sizes(name: str, option: str, values: Sequence[int], least: int = 1) -> None:
    """DalibError unless every value is a whole number >= 1, and there are at least `least`."""
    whole = all(isinstance(v, int) and not isinstance(v, bool) and v >= 1 for v in values)
    if not whole or len(values) < least:
        raise DalibError(f"{name}.{option} = {list(values)} is out of range; give whole numbers >= 1")


def masked_mean(h: Tensor, seen: Tensor) -> Tensor:
    """h (B, L, d), seen (B, L) bool -> mean over the seen positions (B, d); 0 where there are none."""
    weight = seen.unsqueeze(2).to(h.dtype)
    return (h * weight).sum(1) / torch.clamp(weight.sum(1), min=1)
