"""No network: feature data sets and cached embeddings pass as they are."""

from __future__ import annotations

from dalib.core.backbone import Backbone, identity
from dalib.core.errors import DalibError

OWN_WEIGHTS = "none"


def build(name: str, weights: str) -> Backbone:
    """A backbone without weights whose width `load_backbone(..., dim=d)` fills in."""
    if weights not in ("none", "imagenet", "pretrained"):
        raise DalibError(f"backbone 'identity' has no weights to load from '{weights}'; use weights = 'none'")
    return identity(0)
