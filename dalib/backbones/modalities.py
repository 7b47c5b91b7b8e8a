"""Several modalities at once: an encoder for each, their features side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dalib.backbones import load_backbone, takes_rows
from dalib.backbones._scratch import require_sizes
from dalib.core.backbone import Backbone, Preprocess
from dalib.core.errors import DalibError, unknown
from dalib.core.rows import RowShape

VERSION = 2
"""2: tables are encoded by the second version of `mlp`."""


class Modalities(nn.Module):
    """{modality: (B, *S)} -> z (B, sum of the widths), the encoders' features in the order of `names`."""

    def __init__(self, names: Sequence[str], encoders: Sequence[nn.Module], widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.names = tuple(names)
        self.encoders = nn.ModuleList(encoders)
        self.projections = nn.ModuleList(nn.Linear(w, width) if width else nn.Identity() for w in widths)

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        parts = zip(self.names, self.encoders, self.projections, strict=True)
        return torch.cat([project(encode(x[name])) for name, encode, project in parts], 1)


PRETRAINING = {"imagenet": ()}
"""Random too: `imagenet` is the general default, and these have none of it."""


def build(
    name: str,
    weights: str,
    rows: RowShape,
    encoders: Mapping[str, str | Mapping[str, Any]] | None = None,
    width: int = 0,
) -> Backbone:
    """Groups: the encoders' own, one encoder after the other, then the projections.

    Args
        encoders: modality -> backbone, as a name or as a table of `name`, `weights` and options; default by the rows:
            `tiny` with its weights for images, `cnn1d` for time series, `text_transformer` for token ids, `mlp` else
        width: every modality's features are mapped to this width first; 0 = side by side as they are
    """
    if not rows.fields:
        raise DalibError(
            f"backbone '{name}' takes several modalities; these rows are {rows}: choose an encoder for them"
        )
    if weights not in ("none", "imagenet"):
        raise DalibError(f"backbone '{name}' has no weights of its own, not '{weights}'; give them by encoder")
    if not isinstance(encoders or {}, Mapping):
        raise DalibError(f"{name}.encoders = {encoders!r} is not a table; give modality = backbone")
    if width:
        require_sizes(name, "width", [width])
    chosen = dict(encoders or {})
    for field in chosen:
        if field not in rows.fields:
            raise unknown("modality", field, rows.fields, f"[backbone] encoders; the rows are {rows}")
    parts = {field: build_encoder(shape, chosen.get(field)) for field, shape in rows.fields.items()}
    module = Modalities(list(parts), [b.module for b in parts.values()], [b.dim for b in parts.values()], width)
    groups = [group for b in parts.values() for group in b.groups] + ([module.projections] if width else [])
    dim = width * len(parts) if width else sum(b.dim for b in parts.values())
    taken = RowShape(fields={field: b.rows or rows.fields[field] for field, b in parts.items()})
    backbone = Backbone(name, module, dim, groups, rows=taken)
    backbone.parts = {field: prepare(b, rows.fields[field]) for field, b in parts.items() if b.preprocess}
    backbone.pretraining = tuple(dict.fromkeys(seen for b in parts.values() for seen in b.pretraining))
    hashes = {field: b.weights_hash for field, b in parts.items()}
    if set(hashes.values()) != {"none"}:
        backbone.weights = "+".join(b.weights for b in parts.values())
        backbone.weights_hash = hashlib.sha256(repr(sorted(hashes.items())).encode()).hexdigest()
    return backbone


def build_encoder(shape: RowShape, given: str | Mapping[str, Any] | None) -> Backbone:
    """The encoder of one modality."""
    image = len(shape.shape) == 3
    default = "text_transformer" if shape.ids else {2: "cnn1d", 3: "tiny"}.get(len(shape.shape), "mlp")
    if not isinstance(given or "", (str, Mapping)):
        raise DalibError(f"encoder {given!r} is neither a name nor a table; give for example {default}")
    table = {"name": given} if isinstance(given, str) else dict(given or {})
    name = str(table.pop("name", default))
    weights = str(table.pop("weights", "pretrained" if name == "tiny" else "none"))
    if takes_rows(name):
        return load_backbone(name, weights, rows=shape, **table)
    if name == "identity" and len(shape.shape) == 1:
        return load_backbone(name, weights, dim=shape.shape[0])
    if not image:
        raise DalibError(f"encoder '{name}' takes images; these rows are {shape}: use {default}")
    return load_backbone(name, weights, **table)


def prepare(backbone: Backbone, shape: RowShape) -> Preprocess:
    """How the images of the array are cut: at their own size, unless it is the one the encoder crops from."""
    assert backbone.preprocess is not None
    return backbone.preprocess.of_side(shape.shape[-1])
