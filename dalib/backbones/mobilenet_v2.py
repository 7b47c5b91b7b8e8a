"""MobileNetV2 1.0 (Sandler et al. 2018), torchvision's weights or int8 ones; 1280 features."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import nn

from dalib.backbones._torchvision import create_model, finish, split_sequence
from dalib.backbones._weights import find_file, hash_state
from dalib.core.backbone import Backbone, Preprocess
from dalib.core.errors import DalibError


def build(name: str, weights: str) -> Backbone:
    """Groups: stem and first block, then one per resolution or width, then the last convolution.

    Weights may also be an int8 .npz (`load_int8`): its network takes (x - .5) / .5 and the image turned by 180 degrees.
    """
    model = create_model(name)
    model.classifier = nn.Identity()
    groups = split_sequence(model.features, (0, 2, 4, 7, 11, 14, 18))
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
