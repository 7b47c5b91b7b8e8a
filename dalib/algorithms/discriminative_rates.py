"""Fine-tune every block at a rate of its own, the lower the block the smaller."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.errors import DalibError
from dalib.core.types import Source, Target


class DiscriminativeRates(Algorithm):
    """Discriminative fine-tuning: general features at the bottom move less than specific ones at the top.

    loss = CE(logits_s, y_s);  rate of the i-th block below the new layers = lr / decay^i, i = 1, 2, …

    Counts from the new layers' rate, so that the recipe's backbone_rate has no meaning here, except that 0 freezes
    (`fine_tune` counts from backbone_rate). Parameters outside all blocks take the lowest block's rate.

    Args
        decay: factor between the rates of neighbouring blocks, >= 1; 1 = one rate for everything
    Shapes
        logits (B, K), y (B,)
    Reference
        Howard & Ruder. Universal Language Model Fine-tuning for Text Classification. ACL 2018. arXiv:1801.06146.
        Departure: the slanted triangular schedule is the recipe's business; warmup = 0.1 with schedule = "cosine" is
        the nearest (there: a linear rise over the first tenth, then a linear fall to lr / 32).
    """

    family = "fine-tuning"
    paper = "howard2018ulmfit"
    space = {"decay": [1.0, 1.6, 2.6, 4.0]}
    uses_target = False

    def __init__(self, decay: float = 2.6) -> None:
        super().__init__()
        self.decay = decay

    def check(self) -> None:
        require_positive(self, "decay")
        if self.decay < 1:
            raise DalibError(f"discriminative_rates.decay = {self.decay} is out of range; give a number >= 1")

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        groups, on = self.network.groups, float(backbone_rate > 0)
        blocks = [(block, on / self.decay**i) for i, block in enumerate(reversed(groups), start=1)]
        return [(self, 1.0), (self.network.backbone, on / self.decay ** (len(groups) or 1)), *blocks]

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"classification": cross_entropy(source.logits, source.y)}
