"""Fine-tune the new layers first, then one block more at a time, from the top down."""

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, TrainerLike
from dalib.core.hyper import number, positive, state
from dalib.core.types import Domain


class GradualUnfreezing(Algorithm):
    """Gradual unfreezing: no block moves before those above it have adapted to the labels.

    loss = CE(logits_s, y_s), in G + 1 descents, each with its own schedule; G = number of the backbone's blocks
    descent k = 0, 1, …, G: the new layers at lr, the top k blocks at lr * backbone_rate / decay^i, i = 0, 1, …

    Frozen blocks keep their batch-norm statistics. Parameters outside all blocks join in the last descent, at the
    lowest rate. Without blocks (feature data) there is one descent.

    Shapes
        logits (B, K), y (B,)
    Reference
        Howard & Ruder. Universal Language Model Fine-tuning for Text Classification. ACL 2018. arXiv:1801.06146.
        Departures: parts of the steps, not epochs; the optimiser's momentum starts anew with each descent; the
        schedule is the recipe's.
    """

    family = "fine-tuning"
    paper = "howard2018ulmfit"
    lives_on = {"a backbone that trains": "source_only"}
    uses_target = False
    until: float = positive(
        default=0.5, below=1, search=(0.3, 0.5, 0.8), doc="part of the steps shared by the first G descents"
    )
    decay: float = number(
        default=1.0, least=1, search=(1.0, 2.6), doc="between the rates of neighbouring blocks (the paper: 2.6)"
    )
    unfrozen: Tensor = state()

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("unfrozen", torch.zeros((), dtype=torch.int64))

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        count, k = len(self.network.groups), self.unfrozen
        factors = [backbone_rate / self.decay**i for i in range(count)]
        rest = min([backbone_rate, *factors]) if k == count else 0.0
        blocks = list(zip(reversed(self.network.groups), factors, strict=True))[:k]
        return [(self, 1.0), (self.network.backbone, rest), *blocks]

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        count = len(self.network.groups)
        for k in range(count + 1):
            self.unfrozen.fill_(k)
            trainer.descend(self, source, target, until=self.until * (k + 1) / count if k < count else 1.0)
