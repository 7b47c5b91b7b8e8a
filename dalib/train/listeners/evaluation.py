"""Candidates: the model at some points along training, as a function judges it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from dalib.core.listener import Listener, RunLike


class Evaluation(Listener):
    """Has a candidate added at every point of the recipe before the end, which the fit itself adds.

    judge: called with (fitted, step); its answer is part of the candidate
    """

    def __init__(self, judge: Callable[[Any, int], dict[str, Any]] | None = None) -> None:
        self.judge = judge

    def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
        if step in run.points and step < run.steps:
            run.evaluate(step)

    def evaluate(self, run: RunLike, step: int) -> dict[str, Any]:
        return self.judge(run.fitted, step) if self.judge else {}
