"""Fine-tune the pretrained backbone on the source: the head, the last blocks or everything."""

from torch import nn

from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError
from dalib.core.hyper import number, whole

PRESETS = ("features", "partial", "full")


class FineTune(Algorithm):
    """Cross-entropy on the source with chosen blocks trainable, each at its own rate; the target is not used.

    loss = CE(logits_s, y_s);  rate of the i-th block below the head = lr * backbone_rate / decay^i, i = 0, 1, …

    Three presets name the usual amounts of transfer, at one rate for all trained blocks whatever `decay` is: `features`
    = the head alone, `partial` = the upper half of the blocks (rounded up), `full` = everything.

    Shapes
        logits (B, K), y (B,)
    Raises
        DalibError: the backbone has fewer than k blocks
    Reference
        Howard & Ruder. Universal Language Model Fine-tuning for Text Classification. ACL 2018. arXiv:1801.06146.
        Departures: the last block starts from backbone_rate, not from the head's rate; no gradual unfreezing.
    """

    family = "fine-tuning"
    paper = "howard2018ulmfit"
    lives_on = {"a backbone that trains": "source_only"}
    uses_target = False
    blocks: int | str = whole(
        default="all",
        words=("features", "partial", "full", "head", "all"),
        search=("head", 1, 2, "all"),
        doc="trained ones; k: the last k. Frozen ones keep their batch-norm statistics",
    )
    decay: float = number(
        default=2.6, least=1, search=(1.0, 2.6), doc="factor between the rates of neighbouring blocks"
    )

    def build(self, dim: int, outputs: int) -> None:
        have = len(self.network.groups)
        if isinstance(self.blocks, int) and self.blocks > have:
            remedy = f"give at most {have}, 'head' or 'all'" if have else "give 'head' or 'all'"
            raise DalibError(f"fine_tune.blocks = {self.blocks}, but the backbone has {have} blocks; {remedy}")

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        groups = self.network.groups
        n = len(groups)
        named = {"head": 0, "features": 0, "partial": (n + 1) // 2, "full": n, "all": n}
        trained = named.get(str(self.blocks), self.blocks)
        decay = 1.0 if self.blocks in PRESETS else self.decay
        factors = [backbone_rate / decay**i for i in range(int(trained))]
        rest = min([backbone_rate, *factors]) if self.blocks in ("all", "full") else 0.0
        pairs = zip(reversed(groups), factors, strict=False)
        return [(self, 1.0), (self.network.backbone, rest), *pairs]
