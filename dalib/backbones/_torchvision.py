"""What torchvision's families share: build the model, cut the classifier off, load the weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dalib.backbones._weights import download_state, find_file, hash_state, load_state, read_state
from dalib.core.backbone import Backbone, Preprocess

BODY = "backbone.body."
"""Before the names of a network that torchvision made a detector of."""


def create_model(name: str, **how: Any) -> Any:
    """torchvision's model with random weights and its 1000-class head."""
    from torchvision import models

    return models.get_model(name, weights=None, **how)


def finish(
    name: str, weights: str, model: nn.Module, *, dim: int, groups: Sequence[nn.Module], head: str, body: str = ""
) -> Backbone:
    """Load weights into a model whose classifier is already removed.

    Args
        weights: `imagenet` (torchvision's IMAGENET1K_V1, downloaded once), `none` or a path
        head: prefix of the removed classifier's keys
        body: prefix of the keys that a detector of torchvision's keeps without it
    """
    backbone = Backbone(name, model, dim, groups, Preprocess(256, 224))
    if weights == "none":
        return backbone
    state: Mapping[str, Tensor]
    if weights == "imagenet":
        from torchvision import models

        state = download_state(models.get_model_weights(name)["IMAGENET1K_V1"].url, name)
        backbone.weights = weights
    else:
        path: Path = find_file(weights)
        state = read_state(path)
        backbone.weights = path.name
    state = take_body(backbone, state, body)
    load_state(model, state, (head,), name, backbone.weights)
    backbone.weights_hash = hash_state(model)
    return backbone


def take_body(backbone: Backbone, state: Mapping[str, Tensor], body: str = "") -> Mapping[str, Tensor]:
    """The backbone's own part of a state dict, which may be a detector's: then the backbone keeps all of it, too.

    body: prefix of the keys that a detector's file leaves out
    """
    if not any(key.startswith(BODY) for key in state):
        return state
    backbone.detector = dict(state)
    told = f"'{backbone.weights}' holds a detector: its body is taken, and for answers in boxes the rest too"
    warnings.warn(told, UserWarning, stacklevel=4)
    return {body + key.removeprefix(BODY): value for key, value in state.items() if key.startswith(BODY)}


def split_sequence(blocks: nn.Sequential, starts: Sequence[int]) -> list[nn.Module]:
    """Consecutive pieces of a Sequential that begin at `starts`; they share its layers."""
    return [blocks[a:b] for a, b in zip(starts, [*starts[1:], len(blocks)], strict=True)]
