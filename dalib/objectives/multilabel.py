"""Several yes/no answers per row: logits (n, K), y (n, K) in {0, 1}, -1 where nobody said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from dalib.core.errors import DalibError
from dalib.core.objective import Objective, refuse_shape
from dalib.nn.classifiers import fit_yes_or_no

if TYPE_CHECKING:
    import numpy as np


class Multilabel(Objective):
    """Binary cross-entropy of every answer by itself; answers that were not annotated count nothing.

    loss = mean_i mean_{k annotated} -[y_ik log p_ik + (1 - y_ik) log(1 - p_ik)],  p = sigmoid(prediction)

    Shapes
        prediction (B, K) logits, y (B, K) in {0, 1} or -1; answer (n, K) int64 in {0, 1}: p > 1/2
    """

    name = "multilabel"
    metrics = ("mean_average_precision", "micro_f1")
    unsaid = -1

    def check_labels(self, y: np.ndarray, outputs: int, where: str) -> None:
        refuse_shape(self.name, y, ("n", outputs), where)
        strange = y[(y != 0) & (y != 1) & (y != -1)]
        if len(strange):
            raise DalibError(f"{where} hold {strange[0]}; answers are 0, 1, or -1 where nobody said")

    def row_losses(self, prediction: Tensor, y: Tensor) -> Tensor:
        told = y >= 0
        each = binary_cross_entropy_with_logits(prediction, y.clamp(min=0).to(prediction.dtype), reduction="none")
        return torch.where(told, each, 0.0).sum(1) / told.sum(1).clamp(min=1)

    def solve(self, z: Tensor, y: Tensor, C: float, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Logistic regression of every answer by itself, on the rows where it was annotated."""
        return fit_yes_or_no(z, y, C, weight)

    def decide(self, prediction: Tensor) -> Tensor:
        return (prediction > 0).long()
