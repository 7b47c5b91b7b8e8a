"""What a recipe may ask of answers that are numbers, and what it may not do to pictures that they belong to."""

from __future__ import annotations

from dalib.core.errors import DalibError
from dalib.core.objective import find_objective
from dalib.core.types import Domain, Task
from dalib.train.config import TrainConfig


def check_answers(task: Task, config: TrainConfig, moves: bool) -> None:
    """DalibError for labels that cannot be read, a scale of what is no number, and crops and flips under which numbers
    may change.

    moves: rows are pictures that would be augmented
    """
    for domain in (task.labelled, task.validation, task.test):
        if domain.y is not None and len(domain):
            _check_labels(task, domain)
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


def _check_labels(task: Task, domain: Domain) -> None:
    """DalibError for labels of another kind, of other outputs, or that their objective cannot read."""
    mine, theirs = ", ".join(task.classes), ", ".join(domain.classes)
    if domain.objective != task.objective:
        raise DalibError(
            f"the labels of '{domain.name}' are for {domain.objective}, those of '{task.labelled.name}' for "
            f"{task.objective}; give labels of one kind"
        )
    if task.objective != "classification" and mine != theirs:
        raise DalibError(
            f"the outputs of '{task.labelled.name}' are {mine}, those of '{domain.name}' {theirs}; give both the same, "
            "in one order"
        )
    where = f"the labels of '{domain.name}'"
    find_objective(task.objective).check_labels(domain.labels, len(task.classes), where)
