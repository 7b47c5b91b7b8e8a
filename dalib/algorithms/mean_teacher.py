"""The average of the network's past weights teaches it to predict two views of a target row alike."""

import torch
from torch import Tensor

from dalib.algorithms._teacher import Taught
from dalib.core.algorithm import Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.self_ensembling import confident_consistency, distance_from_balance


class MeanTeacher(Taught):
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
    weight: float = positive(default=3.0, zero=True, search=(1.0, 3.0, 10.0), doc="trade-off of the consistency")
    threshold: float = positive(
        default=0.96837722,
        zero=True,
        most=1,
        search=(0.0, 0.8, 0.9, 0.96837722),
        doc="least probability (teacher's) of a row",
    )
    balance: float = positive(default=0.005, zero=True, doc="weight of the distance to equally frequent classes")
    decay: float = positive(
        default=0.99, zero=True, below=1, search=(0.99, 0.999), doc="most of itself that the teacher keeps in a step"
    )

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        p = target.strong.logits.softmax(1)
        with torch.no_grad():
            q = self.teacher(target.x)[1].softmax(1)
        consistency = confident_consistency(p, q, self.threshold) + self.balance * distance_from_balance(p)
        return {"consistency": self.weight * consistency}
