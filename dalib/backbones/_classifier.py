"""The classifier that a network was pretrained with, which backbones leave off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dalib.backbones._weights import download_state, find_file, read_state, unwrap
from dalib.core.backbone import Backbone


def load_classifier(backbone: Backbone, weights: str) -> nn.Linear | None:
    """The linear layer from the backbone's features to its pretrained classes; None where the weights hold none.

    Args
        weights: as `load_backbone` was given them; an int8 .npz holds it as `52_q`, `52_s`, `52_b`
    """
    if weights == "none" or backbone.preprocess is None or "@" in backbone.name or backbone.text_tower:
        return None
    if weights.endswith(".npz"):
        with np.load(find_file(weights, suffixes=(".npz",))) as file:
            if "52_q" not in file:
                return None
            q, s, b = (torch.from_numpy(file[f"52_{key}"]) for key in "qsb")
        return make_linear(q.float().flatten(1) * s.view(-1, 1), b)
    if weights == "imagenet" and backbone.name.startswith("timm:"):
        import timm

        model: Any = timm.create_model(backbone.name.partition(":")[2], pretrained=True)
        head = model.get_classifier()
        return head if isinstance(head, nn.Linear) and head.in_features == backbone.dim else None
    return find_linear(read_weights(backbone, weights), backbone)


def name_classes(head: nn.Linear | None, pretraining: Sequence[str]) -> tuple[str, ...]:
    """ImageNet's 1000 names, in its order, of a head that was trained on it last; empty where nobody says so."""
    if head is None or head.out_features != 1000 or tuple(pretraining)[-1:] != ("imagenet-1k",):
        return ()
    from torchvision.models import MobileNet_V2_Weights

    return tuple(MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"])


def read_weights(backbone: Backbone, weights: str) -> dict[str, Tensor]:
    """The whole state dict, classifier included."""
    if weights == "imagenet":
        from torchvision import models

        return download_state(models.get_model_weights(backbone.name)["IMAGENET1K_V1"].url, backbone.name)
    if weights == "pretrained":
        from dalib.backbones.tiny import WEIGHTS

        return read_state(WEIGHTS)
    return read_state(find_file(weights))


def find_linear(state: Mapping[str, Tensor], backbone: Backbone) -> nn.Linear | None:
    """The one matrix (K, dim) of a state dict that the backbone lacks, with its bias (zeros where there is none).

    None where another matrix (…, K) goes on from its answers: it is a hidden layer, and no classifier.
    """
    own = backbone.module.state_dict()
    state = unwrap(state, own)
    heads = [k for k, v in state.items() if k not in own and v.ndim == 2 and v.shape[1] == backbone.dim]
    if len(heads) != 1 or not heads[0].endswith("weight"):
        return None
    weight = state[heads[0]]
    others = [v for k, v in state.items() if k not in own and k != heads[0] and v.ndim == 2]
    if any(v.shape[1] == len(weight) for v in others):
        return None
    return make_linear(weight, state.get(heads[0].removesuffix("weight") + "bias", torch.zeros(len(weight))))


def make_linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """weight (K, d), bias (K,) -> the layer, float32."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight.float(), "bias": bias.float()})
    return layer
