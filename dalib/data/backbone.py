"""The backbone of a data set: built to fit its rows where it is of that sort, refused where it takes others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dalib.backbones import check_options, load_backbone, takes_rows
from dalib.core.backbone import Backbone
from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.rows import RowView
from dalib.data.loaded import LoadedData


def backbone_for(
    data: LoadedData,
    name: str,
    weights: str,
    *,
    frozen: bool = False,
    seed: int | None = None,
    head: bool = False,
    options: Mapping[str, Any] | None = None,
    pretraining: Sequence[str] = (),
) -> Backbone:
    """`load_backbone` for a data set.

    Raises
        DalibError: images for a backbone of other rows or the reverse, and all that `load_backbone` raises
    """
    check_backbone(data, name)
    check_options(name, options or {})
    how: dict[str, Any] = {"frozen": frozen, "seed": seed, "head": head, "pretraining": pretraining, **(options or {})}
    if takes_rows(name):
        return load_backbone(name, weights, rows=data.row_shape(), **how)
    return load_backbone(name, weights, dim=_first_rows(data).shape[1] if data.kind == "features" else 0, **how)


def check_backbone(data: LoadedData, name: str) -> None:
    """DalibError unless the backbone takes the data's kind of rows; what it makes of their shape is its own to say."""
    fitted, features = takes_rows(name), data.kind == "features"
    if not features and (fitted or name == "identity"):
        takes = "features" if name == "identity" else "other rows"
        raise DalibError(f"{data.name} holds images; backbone '{name}' takes {takes}: use tiny or resnet50")
    if not features or fitted:
        return
    x = _first_rows(data)
    if x.ndim != 2:
        kind = "several modalities" if x.dtype.names else f"rows {x.shape[1:]}"
        raise DalibError(
            f"{data.name} holds {kind}, which need a backbone that is built to fit, not {name}: "
            f"{', '.join(suit_rows(x)) or 'a module of your own'}"
        )
    if name != "identity":
        raise DalibError(f"{data.name} holds features; backbone '{name}' takes images: use identity")


def default_backbone(info: DatasetInfo) -> str:
    """What a data set is trained through unless a backbone is named: `tiny` knows what dalib draws."""
    if info.kind == "features":
        return "identity"
    return "tiny" if info.generator else "resnet50"


def default_frozen(info: DatasetInfo) -> bool:
    """Whether that backbone is frozen: features of a whole picture say nothing of its pixels."""
    return bool(info.generator) and info.kind == "images"


def suit_rows(x: np.ndarray | RowView) -> tuple[str, ...]:
    """Backbones from scratch that take rows like those of x, the general one first; empty for images in an array."""
    if x.dtype.names:
        return ("modalities",)
    if x.ndim == 2:
        return ("bag_of_words", "text_transformer") if x.dtype.kind in "iu" else ("mlp",)
    return ("cnn1d",) if x.ndim == 3 else ()


def _first_rows(data: LoadedData) -> Any:
    return data.domain(data.domains[0]).x
