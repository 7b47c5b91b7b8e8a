"""Feature extractors by name; torch loads when the first one is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dalib.core.backbone import Backbone


def load_backbone(name: str, weights: str = "imagenet", *, frozen: bool = False, dim: int = 0) -> Backbone:
    """Build the backbone `name`.

    Args
        name: registry name (`dalib list backbones`), or `timm:MODEL`
        weights: `imagenet`, `none`, `pretrained` (what ships with dalib) or the path of a weights file
        frozen: embed every image once and train on the features only
        dim: width of the features that `identity` passes on; other backbones know their own

    Raises
        DalibError: unknown name or weights, a file that does not fit, `identity` without dim
    """
    from dataclasses import replace

    from dalib.core.errors import DalibError
    from dalib.core.registry import BACKBONES

    backbone = BACKBONES.get("timm" if name.startswith("timm:") else name)(name, weights)
    width = backbone.dim or dim
    if width < 1:
        raise DalibError(f"backbone '{name}' passes features as they are: give their width, dim = {dim} is none")
    return replace(backbone, dim=width, frozen=frozen)
