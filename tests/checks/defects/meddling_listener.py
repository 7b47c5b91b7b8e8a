"""Defect: a listener that draws random numbers, rewrites candidates and meddles more from fit to fit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dalib.core.listener import Listener, RunLike


class MeddlingListener(Listener):
    """A contract broken on purpose."""

    def __init__(self) -> None:
        self.steps = 0

    def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
        self.steps += 1
        torch.rand(self.steps)

    def after_evaluation(self, run: RunLike, step: int, candidate: dict[str, Any]) -> None:
        candidate["target_accuracy"] = 2.0
