"""The small world in which algorithms for pixels are checked: coloured squares on grey, 32 pixels, a few steps."""

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

SIDE, K, KIND = 32, 3, "segmentation"
CONFIG = TrainConfig(steps=4, batch_size=4, bottleneck=8, crop=SIDE, augment="standard", lr=0.02, evaluations=2)
COLOURS = np.array([[120, 120, 120], [220, 60, 60], [60, 60, 220]])


def is_dense(cls: type[Algorithm]) -> bool:
    """It answers for pixels and for nothing that the world of rows asks."""
    return KIND in cls.objectives and not {"any", "classification", "multilabel", "regression"}.intersection(
        cls.objectives
    )


def make_scenes(name: str, n: int, seed: int, light: float) -> Domain:
    """A square of class 1 and one of class 2 in every picture; the first row of every mask has no label."""
    rng = np.random.default_rng(seed)
    y = np.zeros((n, SIDE, SIDE), np.uint8)
    for mask in y:
        for kind in (1, 2):
            top, left = rng.integers(2, SIDE - 14, 2)
            mask[top : top + 12, left : left + 12] = kind
    x = light * COLOURS[y].transpose(0, 3, 1, 2) + rng.normal(0, 8, (n, 3, SIDE, SIDE))
    y[:, 0] = 255
    pixels = x.clip(0, 255).round().astype(np.uint8)
    return Domain(name, pixels, y, ("ground", "red", "blue"), f"squares-{name}-{n}-{seed}-{light}", objective=KIND)


def make_task() -> Task:
    source, target = make_scenes("source", 12, 0, 1.0), make_scenes("target", 10, 1, 0.6)
    return Task("source->target", source, target.unlabelled(), source.take(np.arange(0), "none"), target)


def backbone() -> Backbone:
    return load_backbone("tiny", "none", seed=3)


def fit(cls: type[Algorithm], task: Task | None = None, *, seed: int = 0, **changes: Any) -> Fitted:
    """cls() fitted in the small world, by its own recipe; `changes` go to the trainer."""
    config = CONFIG.model_copy(update=cls.recipe)
    trainer = Trainer(config, seed=seed, device="cpu", **{"evaluate": lambda fitted, step: {}, **changes})
    return trainer.fit(cls(), task or make_task(), backbone())


def attached(cls: type[Algorithm], **hparams: Any) -> Algorithm:
    """cls(**hparams) on a fresh network of width 8 in training mode."""
    with seeded(0):
        algorithm = cls(**hparams)
        algorithm.attach(find_objective(KIND).network(backbone(), K, 8))
        return algorithm.train()


def batches(algorithm: Algorithm, sizes: tuple[int, int] = (4, 4)) -> tuple[Source, Target]:
    """Both batches after the network, the target in as many views as the algorithm asks for."""
    source, target = make_scenes("source", sizes[0], 3, 1.0), make_scenes("target", sizes[1], 4, 0.6)
    y = torch.as_tensor(source.labels).long()
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
