"""What a recipe may ask of answers that are numbers, and what it may not do to pictures that they belong to."""

from __future__ import annotations

from dalib.core.errors import DalibError
from dalib.core.objective import find_objective
from dalib.core.types import Task
from dalib.train.config import TrainConfig


def check_answers(task: Task, config: TrainConfig, moves: bool) -> None:
    """DalibError for a scale of what is no number, and for crops and flips under which numbers may change.

    moves: rows are pictures that would be augmented
    """
    numbers = find_objective(task.objective).scales
    if config.answers != "as_given" and not numbers:
        raise DalibError(
            f"train.answers = {config.answers!r} scales numbers, but the labels are for {task.objective}; leave it out"
        )
    if numbers and moves and config.augment != "none" and not config.invariant:
        raise DalibError(
            f"augment = {config.augment!r} crops and flips pictures, but their answers ({', '.join(task.classes[:4])}) "
            "are numbers that may say where something is, and would stay as they are; set train.augment = none, or "
            "train.invariant = true if no crop or flip changes them"
        )
