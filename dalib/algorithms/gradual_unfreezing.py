"""Fine-tune the new layers first, then one block more at a time, from the top down."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Algorithm, Terms, TrainerLike
from dalib.core.errors import DalibError
from dalib.core.types import Domain, Source, Target


class GradualUnfreezing(Algorithm):
    """Gradual unfreezing: no block moves before those above it have adapted to the labels.

    loss = CE(logits_s, y_s), in G + 1 descents, each with its own schedule; G = number of the backbone's blocks
    descent k = 0, 1, …, G: the new layers at lr, the top k blocks at lr * backbone_rate / decay^i, i = 0, 1, …

    Frozen blocks keep their batch-norm statistics. Parameters outside all blocks join in the last descent, at the
    lowest rate. Without blocks (feature data) there is one descent.

    Args
        until: part of the steps after which everything is trained, in (0, 1); the G descents before share it equally
        decay: factor between the rates of neighbouring blocks, >= 1; 2.6 adds the paper's discriminative fine-tuning
    Shapes
        logits (B, K), y (B,)
    Reference
        Howard & Ruder. Universal Language Model Fine-tuning for Text Classification. ACL 2018. arXiv:1801.06146.
        Departures: parts of the steps, not epochs; the optimiser's momentum starts anew with each descent; the
        schedule is the recipe's.
    """

    family = "fine-tuning"
    paper = "howard2018ulmfit"
    space = {"until": [0.3, 0.5, 0.8], "decay": [1.0, 2.6]}
    uses_target = False
    unfrozen: Tensor

    def __init__(self, until: float = 0.5, decay: float = 1.0) -> None:
        super().__init__()
        self.until = until
        self.decay = decay

    def check(self) -> None:
        require_positive(self, "until", "decay")
        if self.until >= 1 or self.decay < 1:
            raise DalibError(
                f"gradual_unfreezing.until, decay = {self.until!r}, {self.decay!r}; give until < 1 and decay >= 1"
            )

    def build(self, dim: int, num_classes: int) -> None:
        self.register_buffer("unfrozen", torch.zeros((), dtype=torch.int64))

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        count, k = len(self.network.groups), int(self.unfrozen)
        factors = [backbone_rate / self.decay**i for i in range(count)]
        rest = min([backbone_rate, *factors]) if k == count else 0.0
        blocks = list(zip(reversed(self.network.groups), factors, strict=True))[:k]
        return [(self, 1.0), (self.network.backbone, rest), *blocks]

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        count = len(self.network.groups)
        for k in range(count + 1):
            self.unfrozen.fill_(k)
            trainer.descend(self, source, target, until=self.until * (k + 1) / count if k < count else 1.0)

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"classification": cross_entropy(source.logits, source.y)}
