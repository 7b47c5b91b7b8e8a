"""Rows of a table (n, d): columns brought to one scale, then fully-connected layers, from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from dalib.backbones._scratch import load_own, require_rows, require_sizes
from dalib.core.backbone import Backbone
from dalib.core.rows import RowShape
from dalib.nn.columns import ColumnReach

VERSION = 2
"""2: columns are divided by their reach (`ColumnReach`), not by their deviation."""


PRETRAINING = {"imagenet": ()}
"""Random too: `imagenet` is the general default, and these have none of it."""


def build(name: str, weights: str, rows: RowShape, hidden: Sequence[int] = (128, 64)) -> Backbone:
    """x (B, d) -> z (B, hidden[-1]) >= 0; columns in [-3, 3] by their reach, then layers of Linear + BatchNorm + ReLU.

    groups: the layers

    Args
        hidden: widths, at least one
    """
    require_rows(name, rows, 1, False, "rows of numbers (n, d)")
    require_sizes(name, "hidden", hidden, least=1)
    widths = [rows.shape[0], *hidden]
    groups: list[nn.Module] = [
        nn.Sequential(nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU()) for a, b in pairwise(widths)
    ]
    groups[0] = nn.Sequential(ColumnReach(widths[0]), *groups[0].children())
    return load_own(Backbone(name, nn.Sequential(*groups), widths[-1], groups, rows=rows.numbers()), weights)
