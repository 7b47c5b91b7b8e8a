"""The average of the network's past weights teaches it to predict two views of a target row alike."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Algorithm, Minimise, Terms
from dalib.core.errors import DalibError
from dalib.core.types import Source, Target
from dalib.nn.averaging import move_towards
from dalib.nn.self_ensembling import confident_consistency, distance_from_balance

Self = TypeVar("Self", bound="MeanTeacher")


class MeanTeacher(Algorithm):
    """Self-ensembling: a student that learns by gradients, and a teacher that follows it.

    loss = CE(logits_s, y_s)
         + weight * (mean_i [max q_i >= threshold] mean_c (p_ic - q_ic)² + balance * sum_c BCE(mean_i p_ic, 1 / K))
    p = softmax(logits of the strong view), q = softmax(teacher's logits of the mild view), constant
    after step n = 0, 1, …:  teacher := a * teacher + (1 - a) * student,  a = min(1 - 1 / (n + 1), decay)

    The teacher includes batch-norm statistics and predicts.

    Args
        weight: trade-off of the consistency, dimensionless, >= 0
        threshold: least probability, of the teacher's, of a row that takes part, in [0, 1]; 0 = every row
        balance: weight of the distance to equally frequent classes, >= 0
        decay: largest part of itself that the teacher keeps in a step, in [0, 1)
    Shapes
        x (B, *S), logits (B, K), y (B,)
    Reference
        French et al. Self-ensembling for Visual Domain Adaptation. ICLR 2018. arXiv:1706.05208, with the authors'
        defaults; teacher: Tarvainen & Valpola. Mean Teachers Are Better Role Models. NeurIPS 2017. arXiv:1703.01780,
        whose rising `a` begins with a plain average (the former: `decay` throughout).
        Departures: the teacher is in evaluation mode with averaged batch-norm statistics (there: those of the batch)
        and in full precision; `balance` counts from the first step on (there: times the part of rows that take part).
        As there, 1e-6 is added inside the logarithms of the BCE.
    """

    family = "self-training"
    paper = "french2018selfensembling"
    space = {"weight": [1.0, 3.0, 10.0], "threshold": [0.0, 0.8, 0.9, 0.96837722], "decay": [0.99, 0.999]}
    views = 2
    moves: Tensor

    def __init__(
        self, weight: float = 3.0, threshold: float = 0.96837722, balance: float = 0.005, decay: float = 0.99
    ) -> None:
        super().__init__()
        self.weight = weight
        self.threshold = threshold
        self.balance = balance
        self.decay = decay

    def check(self) -> None:
        require_positive(self, "weight", "threshold", "balance", "decay", zero=True)
        if self.threshold > 1 or self.decay >= 1:
            raise DalibError(
                f"mean_teacher.threshold, decay = {self.threshold!r}, {self.decay!r}; give threshold <= 1 and decay < 1"
            )

    def build(self, dim: int, num_classes: int) -> None:
        self.teacher = copy.deepcopy(self.network).requires_grad_(False)
        self.register_buffer("moves", torch.zeros(()))

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return [*super().rates(backbone_rate), (self.teacher, 0.0)]

    def train(self: Self, mode: bool = True) -> Self:
        super().train(mode)
        if hasattr(self, "teacher"):
            self.teacher.eval()
        return self

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        p = target.strong.logits.softmax(1)
        with torch.no_grad():
            q = self.teacher(target.x)[1].softmax(1)
        consistency = confident_consistency(p, q, self.threshold) + self.balance * distance_from_balance(p)
        return {"classification": cross_entropy(source.logits, source.y), "consistency": self.weight * consistency}

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        super().step(source, target, progress, minimise)
        self.moves += 1
        move_towards([self.teacher], [self.network], (1 / self.moves).clamp(min=1 - self.decay))

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.teacher(x)
