"""The small world that suits an algorithm: rows of classes, rows of numbers, or pictures with masks or boxes."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

from dalib.checks import dense_world, world
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone
from dalib.core.types import Task
from dalib.train.config import TrainConfig


def world_of(cls: type[Algorithm]) -> ModuleType:
    """`dalib.checks.world`, or that of pixels and boxes."""
    return dense_world if dense_world.is_dense(cls) else world


def task_for(cls: type[Algorithm], n: int = 60) -> Task:
    """What the algorithm is asked there; n source rows, but for pixels."""
    if dense_world.is_dense(cls):
        return dense_world.make_task(dense_world.kind_of(cls))
    task, kind = world.make_task(n), world.kind_of(cls)
    if kind == task.objective:
        return task
    parts = {name: getattr(task, name) for name in ("labelled", "target", "validation", "test")}
    spelt = {
        name: replace(part, y=None if part.y is None else world.spell(part.y, kind), objective=kind)
        for name, part in parts.items()
    }
    return replace(task, **spelt)


def backbone_for(cls: type[Algorithm]) -> Backbone:
    return dense_world.backbone() if dense_world.is_dense(cls) else world.features_of(cls)


def recipe_for(cls: type[Algorithm], base: TrainConfig, **changes: Any) -> TrainConfig:
    """`base` where rows are asked; of pixels the world's own recipe; `changes` over either."""
    if not dense_world.is_dense(cls):
        return base.model_copy(update={**world.plain_features(cls), **changes})
    return dense_world.CONFIG.model_copy(update={**cls.recipe, **changes})
