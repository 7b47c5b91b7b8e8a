"""Fine-tune while the pretrained classifier's answers to the new rows stay what they were."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from dalib.algorithms._pretrained import PretrainedHead
from dalib.core.algorithm import Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.discrepancy import as_float
from dalib.nn.label_relation import soft_cross_entropy

Self = TypeVar("Self", bound="LwF")


class LwF(PretrainedHead):
    """Learning without forgetting: knowledge distillation from the network before it was fine-tuned.

    loss = CE(logits_s, y_s) + weight * mean_i -sum_c q_ic log softmax(h(f(x_i)) / temperature)_c
    q_i = softmax(h_0(f_0(x_i)) / temperature);  f_0, h_0 = backbone and pretrained head as they came, f, h = as trained

    Features and frozen backbones cannot forget: the second term then holds the old head alone.

    Shapes
        x (B, *S), logits (B, K), y (B,); h (B, K_old)
    Raises
        DalibError: the backbone came without its classifier
    Reference
        Li & Hoiem. Learning without Forgetting. ECCV 2016. arXiv:1606.09282. Departures: old answers are computed for
        the augmented views (there: recorded once); no warm-up of the new head (`lp_ft` has one); the old head learns at
        the backbone's rate.
    """

    family = "fine-tuning"
    paper = "li2016lwf"

    weight: float = positive(
        default=1.0, zero=True, search=(0.3, 1.0, 3.0), doc="trade-off of the old answers, dimensionless"
    )
    temperature: float = positive(default=2.0, search=(1.0, 2.0, 4.0), doc="softens both answers")

    def begin(self) -> None:
        super().begin()
        before = nn.Sequential(copy.deepcopy(self.network.backbone), copy.deepcopy(self.old_head))
        self.before = before.requires_grad_(False).eval()

    def end(self) -> None:
        super().end()
        del self.before

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return [*super().rates(backbone_rate), *([(self.before, 0.0)] if hasattr(self, "before") else [])]

    def train(self: Self, mode: bool = True) -> Self:
        super().train(mode)
        if hasattr(self, "before"):
            self.before.eval()
        return self

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """Nothing before `begin` has copied the network as it came."""
        if not hasattr(self, "before"):
            return {}
        with torch.no_grad():
            q = (as_float(self.before(source.x)) / self.temperature).softmax(1)
        return {"old_answers": self.weight * soft_cross_entropy(self.old_logits(source), q, self.temperature)}
