"""Forty tiny images of three colours, and a small convolutional network with batch norm and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.backbone import Backbone, Preprocess
from dalib.core.types import Domain, Source, Target, Task
from dalib.train.config import TrainConfig

CLASSES = ("red", "green", "blue")
RECIPE = TrainConfig(steps=12, batch_size=8, bottleneck=8, lr=0.05, backbone_rate=1.0, evaluations=3)


def recipe(**changes: Any) -> TrainConfig:
    return TrainConfig(**{**RECIPE.model_dump(), **changes})


def make_images(name: str, n: int, seed: int, side: int = 14) -> Domain:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    x = rng.integers(0, 120, (n, 3, side, side))
    x[np.arange(n), y] += 100
    return Domain(name, x.astype(np.uint8), y, CLASSES, f"images-{name}-{n}-{seed}-{side}")


def make_image_task(n: int = 40, side: int = 14) -> Task:
    source, target = make_images("source", n, 0, side), make_images("target", n - 9, 1, side)
    return Task("source->target", source, target.unlabelled(), source.take(np.arange(0), "none"), target)


def make_backbone(*, norm: bool = True, dropout: float = 0.0, frozen: bool = False) -> Backbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        stem = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.BatchNorm2d(6) if norm else nn.Identity(), nn.ReLU())
        block = nn.Sequential(nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8) if norm else nn.Identity(), nn.ReLU())
    module = nn.Sequential(stem, block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout))
    return Backbone("small", module, 8, [stem, block], Preprocess(14, 12), frozen=frozen)


class Plain(Algorithm):
    """Cross-entropy and a pull of the two means."""

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        gap = source.z.mean(0) - target.z.mean(0)
        return {"ce": F.cross_entropy(source.logits, source.y), "gap": 0.1 * gap.square().sum()}


def copy_state(module: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def differing(a: dict[str, Tensor], b: dict[str, Tensor]) -> list[str]:
    """Keys whose tensors differ in any bit."""
    assert a.keys() == b.keys()
    return [k for k in a if not torch.equal(a[k], b[k])]
