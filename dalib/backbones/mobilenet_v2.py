"""MobileNetV2 1.0 (Sandler et al. 2018), torchvision's weights or int8 ones; 1280 features, or those of block @N."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import nn

from dalib.backbones._torchvision import create_model, finish, split_sequence
from dalib.backbones._weights import find_file, hash_state
from dalib.core.backbone import Backbone, Preprocess
from dalib.core.errors import DalibError

STARTS = (0, 2, 4, 7, 11, 14, 18)
"""First layers of the groups: stem and first block, then one per resolution or width, then the last convolution."""
MAPS = ("features.1", "features.3", "features.6", "features.13", "features.18")
NAMES = ("mobilenet_v2", "mobilenet_v2@3", "mobilenet_v2@6", "mobilenet_v2@10", "mobilenet_v2@13", "mobilenet_v2@17")


def build(name: str, weights: str) -> Backbone:
    """The whole network, or cut behind block N for `mobilenet_v2@N`; weights are always those of the whole one.

    Weights may also be an int8 .npz (`load_int8`): its network takes (x - .5) / .5 and the image turned by 180 degrees.
    """
    base, _, depth = name.partition("@")
    if depth:
        return cut(build_whole(base, weights), name, int(depth) + 1)
    return replace(build_whole(base, weights), maps=MAPS)


def cut(backbone: Backbone, name: str, depth: int) -> Backbone:
    """The first `depth` layers and the mean over positions."""
    features: Any = backbone.module.features
    layers = features[:depth]
    module = nn.Sequential(layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    groups = backbone.groups[: sum(start < depth for start in STARTS)]
    width = next(m.num_features for m in reversed(list(layers.modules())) if isinstance(m, nn.BatchNorm2d))
    hashed = backbone.weights_hash if backbone.weights == "none" else hash_state(module)
    return replace(backbone, name=name, module=module, dim=width, groups=groups, weights_hash=hashed)


def build_whole(name: str, weights: str) -> Backbone:
    """All blocks, the last convolution and the mean over positions."""
    model = create_model(name)
    model.classifier = nn.Identity()
    groups = split_sequence(model.features, STARTS)
    if not weights.endswith(".npz"):
        return finish(name, weights, model, dim=1280, groups=groups, head="classifier.")
    path = find_file(weights, suffixes=(".npz",))
    load_int8(model.features, path)
    half = (0.5, 0.5, 0.5)
    return Backbone(
        name,
        model,
        1280,
        groups,
        Preprocess(256, 224, half, half, rotate180=True),
        weights=path.name,
        weights_hash=hash_state(model),
        batch_norm_folded=True,
    )


def load_int8(features: nn.Module, path: Path) -> None:
    """Fill torchvision's MobileNetV2 features from int8 weights with folded batch norms.

    The file holds `NN_q` int8 (out, in, h, w), `NN_s` float32 (out,) and `NN_b` float32 (out,) for the 52 convolutions
    in order. weight = q * s; each batch norm becomes weight 1, bias b, mean 0, variance 1 - eps: it only adds b.
    """
    convolutions = [m for m in features.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in features.modules() if isinstance(m, nn.BatchNorm2d)]
    try:
        with np.load(path) as file, torch.no_grad():
            for i, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True)):
                q, s, b = (torch.from_numpy(file[f"{i:02d}_{k}"]) for k in "qsb")
                if q.shape != convolution.weight.shape:
                    raise DalibError(
                        f"weights file '{path}': {i:02d}_q has shape {tuple(q.shape)}, "
                        f"mobilenet_v2 has {tuple(convolution.weight.shape)}; give a width-1.0 network"
                    )
                convolution.weight.copy_(q.float() * s.view(-1, 1, 1, 1))
                norm.weight.fill_(1.0)
                norm.bias.copy_(b)
                norm.running_mean.zero_()  # type: ignore[union-attr]
                norm.running_var.fill_(1.0 - norm.eps)  # type: ignore[union-attr]
    except (KeyError, ValueError, OSError, BadZipFile) as error:
        reason = str(error).strip("'\"").partition("\n")[0]
        raise DalibError(
            f"weights file '{path}' is not an int8 mobilenet_v2 ({reason}); it needs NN_q, NN_s, NN_b, NN = 00..51"
        ) from None
