"""One class per row: logits (n, K), y (n,) int64."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.core.objective import Objective


class Classification(Objective):
    """Cross-entropy; the answer is the class of the largest logit.

    loss = mean_i -log softmax(logits_i)_{y_i}

    Shapes
        prediction (B, K) logits, y (B,) int64 in [0, K); answer (n,) int64
    """

    name = "classification"
    metrics = ("accuracy", "macro_f1", "macro_precision", "macro_recall")

    def row_losses(self, prediction: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(prediction, y, reduction="none")

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(prediction, y)

    def decide(self, prediction: Tensor) -> Tensor:
        return prediction.argmax(1)
