"""The average of the network's past weights teaches it to predict two views of a target row alike."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive, state
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
    objectives = ("classification",)
    paper = "french2018selfensembling"
    views = 2
    weight: float = positive(
        default=3.0, zero=True, search=(1.0, 3.0, 10.0), doc="trade-off of the consistency, dimensionless"
    )
    threshold: float = positive(
        default=0.96837722,
        zero=True,
        most=1,
        search=(0.0, 0.8, 0.9, 0.96837722),
        doc="least probability, of the teacher's, of a row that takes part; 0 = every row",
    )
    balance: float = positive(default=0.005, zero=True, doc="weight of the distance to equally frequent classes")
    decay: float = positive(
        default=0.99,
        zero=True,
        below=1,
        search=(0.99, 0.999),
        doc="largest part of itself that the teacher keeps in a step",
    )
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

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        p = target.strong.logits.softmax(1)
        with torch.no_grad():
            q = self.teacher(target.x)[1].softmax(1)
        consistency = confident_consistency(p, q, self.threshold) + self.balance * distance_from_balance(p)
        return {"consistency": self.weight * consistency}

    def end_step(self) -> None:
        self.moves += 1
        move_towards([self.teacher], [self.network], (1 / self.moves).clamp(min=1 - self.decay))

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.teacher(x)
