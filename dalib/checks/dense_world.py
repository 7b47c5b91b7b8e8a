"""The small world of algorithms for pixels or for boxes: coloured squares on grey, 32 pixels, a few steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dalib.backbones import load_backbone
from dalib.checks.world import seeded
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone
from dalib.core.objective import find_objective
from dalib.core.types import Domain, Source, Target, Task
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.trainer import Trainer

SIDE, KIND = 32, "segmentation"
KINDS = {"segmentation": ("ground", "red", "blue"), "detection": ("red", "blue")}
"""Kinds of answer that are asked there -> their classes."""
EDGE = 12
CONFIG = TrainConfig(steps=4, batch_size=4, bottleneck=8, crop=SIDE, augment="standard", lr=0.02, evaluations=2)
COLOURS = np.array([[120, 120, 120], [220, 60, 60], [60, 60, 220]])


def is_dense(cls: type[Algorithm]) -> bool:
    """It answers for pixels or boxes and for nothing that the world of rows asks."""
    return bool(KINDS.keys() & set(cls.objectives)) and not {
        "any", "classification", "multilabel", "regression"
    }.intersection(cls.objectives)  # fmt: skip


def kind_of(cls: type[Algorithm]) -> str:
    """What it is asked in this world."""
    return next((kind for kind in KINDS if kind in cls.objectives), KIND)


def make_scenes(name: str, n: int, seed: int, light: float, kind: str = KIND) -> Domain:
    """A square of class 1 and one of class 2 in every picture; the first row of every mask has no label.

    Of boxes: a square each, the first partly under the second, and no ground.
    """
    rng = np.random.default_rng(seed)
    y, boxes = np.zeros((n, SIDE, SIDE), np.uint8), np.zeros((n, 2, 5), np.float32)
    for mask, here in zip(y, boxes, strict=True):
        for colour in (1, 2):
            top, left = rng.integers(2, SIDE - EDGE - 2, 2)
            mask[top : top + EDGE, left : left + EDGE] = colour
            here[colour - 1] = (colour - 1, left, top, left + EDGE, top + EDGE)
    x = light * COLOURS[y].transpose(0, 3, 1, 2) + rng.normal(0, 8, (n, 3, SIDE, SIDE))
    y[:, 0] = 255
    pixels = x.clip(0, 255).round().astype(np.uint8)
    content = f"squares-{name}-{n}-{seed}-{light}"
    return Domain(name, pixels, y if kind == KIND else boxes, KINDS[kind], content, objective=kind)


def make_task(kind: str = KIND) -> Task:
    source, target = make_scenes("source", 12, 0, 1.0, kind), make_scenes("target", 10, 1, 0.6, kind)
    return Task("source->target", source, target.unlabelled(), source.take(np.arange(0), "none"), target)


def backbone() -> Backbone:
    return load_backbone("tiny", "none", seed=3)


def fit(cls: type[Algorithm], task: Task | None = None, *, seed: int = 0, **changes: Any) -> Fitted:
    """cls() fitted in the small world, by its own recipe; `changes` go to the trainer."""
    config = CONFIG.model_copy(update=cls.recipe)
    trainer = Trainer(config, seed=seed, device="cpu", **{"evaluate": lambda fitted, step: {}, **changes})
    return trainer.fit(cls(**cls.trial), task or make_task(kind_of(cls)), backbone())


def attached(cls: type[Algorithm], **hparams: Any) -> Algorithm:
    """cls(**hparams) on a fresh network of width 8 in training mode."""
    with seeded(0):
        algorithm = cls(**{**cls.trial, **hparams})
        kind = kind_of(cls)
        algorithm.attach(find_objective(kind).network(backbone(), len(KINDS[kind]), 8))
        return algorithm.train()


def batches(algorithm: Algorithm, sizes: tuple[int, int] = (4, 4)) -> tuple[Source, Target]:
    """Both batches after the network, the target in as many views as the algorithm asks for."""
    kind = algorithm.objective.name
    source, target = make_scenes("source", sizes[0], 3, 1.0, kind), make_scenes("target", sizes[1], 4, 0.6, kind)
    y = torch.as_tensor(source.labels)
    y = y if y.is_floating_point() else y.long()
    others = [_rows(algorithm, target.x, 0.8) for _ in range(algorithm.views - 1)]
    seen = _rows(algorithm, source.x)
    index = torch.arange(len(y))
    first = _rows(algorithm, target.x)
    return (
        Source(seen.x, index, y, seen.z, seen.logits, torch.zeros_like(index)),
        Target(first.x, first.index, first.z, first.logits, tuple(others)),
    )


def _rows(algorithm: Algorithm, x: Any, light: float = 1.0) -> Target:
    pixels: Tensor = light * (torch.as_tensor(np.asarray(x)).float() / 127.5 - 1)
    z, prediction = algorithm.network(pixels)
    return Target(pixels, torch.arange(len(z)), z, prediction)
