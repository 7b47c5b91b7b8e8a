"""Fine-tune one block of the backbone and leave the others as they are."""

from torch import nn

from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError
from dalib.core.hyper import whole


class Surgical(Algorithm):
    """Surgical fine-tuning: the first block for shifts of the input, a middle one for features, the last for labels.

    loss = CE(logits_s, y_s);  rate of the block = lr * backbone_rate, of every other block = 0

    The new layers are trained at lr; frozen blocks keep their batch-norm statistics. `first` and `last` train no block
    where there is none (feature data).

    Shapes
        logits (B, K), y (B,)
    Raises
        DalibError: the backbone has fewer than k blocks
    Reference
        Lee et al. Surgical Fine-Tuning Improves Adaptation to Distribution Shifts. ICLR 2023. arXiv:2210.11466.
        The paper has no default: the kind of shift decides. Departure: there the whole network was trained on the
        source before one block is tuned on a few target rows; here the new layers are trained too, with the block.
    """

    family = "fine-tuning"
    paper = "lee2023surgical"
    lives_on = {"a backbone that trains": "source_only"}
    uses_target = False
    block: int | str = whole(
        default="first", words=("first", "last"), search=("first", "last", 2, 3), doc="which one; k-th from the input"
    )

    def build(self, dim: int, outputs: int) -> None:
        have = len(self.network.groups)
        if isinstance(self.block, int) and self.block > have:
            remedy = f"give at most {have}" if have else "use an image backbone"
            raise DalibError(f"surgical.block = {self.block}, but the backbone has {have} blocks; {remedy}")

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        groups = self.network.groups
        position = {"first": 1, "last": len(groups)}.get(str(self.block), self.block)
        chosen = groups[int(position) - 1 : int(position)] if groups else []
        return [(self, 1.0), (self.network.backbone, 0.0), *((block, backbone_rate) for block in chosen)]
