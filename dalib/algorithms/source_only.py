"""Train on the source alone: what every adaptation method has to beat."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target


class SourceOnly(Algorithm):
    """Cross-entropy on the source; the target is not used.

    loss = CE(logits_s, y_s)

    Shapes
        logits (B, K), y (B,)
    """

    family = "baseline"
    uses_target = False

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"classification": cross_entropy(source.logits, source.y)}
