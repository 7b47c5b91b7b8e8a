"""Tells a function how far training is, every ten steps."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from dalib.core.listener import Listener, RunLike

EVERY = 10


class Progress(Listener):
    """Calls `report(step, steps)` now and then."""

    def __init__(self, report: Callable[[int, int], None]) -> None:
        self.report = report

    def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
        if step % EVERY == 0:
            self.report(step, run.steps)
