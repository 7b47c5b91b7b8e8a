"""Fine-tune every block at a rate of its own, the lower the block the smaller."""

from torch import nn

from dalib.core.algorithm import Algorithm
from dalib.core.hyper import number


class DiscriminativeRates(Algorithm):
    """Discriminative fine-tuning: general features at the bottom move less than specific ones at the top.

    loss = CE(logits_s, y_s);  rate of the i-th block below the new layers = lr / decay^i, i = 1, 2, …

    Counts from the new layers' rate, so that the recipe's backbone_rate has no meaning here, except that 0 freezes
    (`fine_tune` counts from backbone_rate). Parameters outside all blocks take the lowest block's rate.

    Shapes
        logits (B, K), y (B,)
    Reference
        Howard & Ruder. Universal Language Model Fine-tuning for Text Classification. ACL 2018. arXiv:1801.06146.
        Departure: the slanted triangular schedule is the recipe's business; warmup = 0.1 with schedule = "cosine" is
        the nearest (there: a linear rise over the first tenth, then a linear fall to lr / 32).
    """

    family = "fine-tuning"
    paper = "howard2018ulmfit"
    lives_on = {"a backbone that trains": "source_only"}
    uses_target = False
    decay: float = number(
        default=2.6, least=1, search=(1.0, 1.6, 2.6, 4.0), doc="factor between the rates of neighbouring blocks"
    )

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        groups, on = self.network.groups, float(backbone_rate > 0)
        blocks = [(block, on / self.decay**i) for i, block in enumerate(reversed(groups), start=1)]
        return [(self, 1.0), (self.network.backbone, on / self.decay ** (len(groups) or 1)), *blocks]
