"""A teacher that follows the network: the average of its past weights, which predicts in its place."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm
from dalib.core.hyper import state
from dalib.nn.averaging import move_towards

Self = TypeVar("Self", bound="Taught")


class Taught(Algorithm):
    """`teacher` is a copy of the network that no gradient moves; `decay` of a subclass is what it keeps in a step."""

    decay: float
    moves: Tensor = state()

    def build(self, dim: int, outputs: int) -> None:
        self.teacher = copy.deepcopy(self.network).requires_grad_(False)
        self.register_buffer("moves", torch.zeros(()))

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return [*super().rates(backbone_rate), (self.teacher, 0.0)]

    def train(self: Self, mode: bool = True) -> Self:
        super().train(mode)
        if hasattr(self, "teacher"):
            self.teacher.eval()
        return self

    def end_step(self) -> None:
        self.moves += 1
        move_towards([self.teacher], [self.network], (1 / self.moves).clamp(min=1 - self.decay))

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.teacher(x)
