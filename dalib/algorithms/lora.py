"""Freeze the backbone and learn a low-rank update of each of its weights."""

from torch import nn

from dalib.algorithms._blocks import pick_blocks
from dalib.core.algorithm import Algorithm
from dalib.core.hyper import positive, whole
from dalib.nn.low_rank import LowRank, add_low_rank_updates


class LoRA(Algorithm):
    """Low-rank adaptation of every dense layer of the backbone; the head is learned too.

    loss = CE(logits_s, y_s);  W = W_0 + alpha / rank * B A,  W_0 (out, in) frozen, B (out, rank), A (rank, in)

    Shapes
        logits (B, K), y (B,); features have no weights to update: the head (and bottleneck) alone is learned
    Raises
        DalibError: the backbone has fewer than k blocks
    Reference
        Hu et al. LoRA: Low-Rank Adaptation of Large Language Models. ICLR 2022. arXiv:2106.09685.
        rank, alpha: the authors' RoBERTa scripts. Departures: all Linear, attention and Conv2d layers but grouped ones
        (there: attention); a convolution's weight is the matrix (out, in * kernel size) (their code: rank times kernel
        side); no dropout. Batch norms keep parameters and statistics; A and B learn at the rate of new layers.
    """

    family = "fine-tuning"
    paper = "hu2022lora"
    lives_on = {"a backbone that trains": "source_only"}
    uses_target = False
    rank: int = whole(default=8, search=(2, 4, 8, 16), doc="of the updates")
    alpha: float = positive(default=16.0, search=(8.0, 16.0, 32.0), doc="scale of the updates")
    blocks: int | str = whole(
        default="all", words=("all", "first"), search=("all", "first", 1, 2), doc="whose weights; k: the last k"
    )

    def build(self, dim: int, outputs: int) -> None:
        chosen = [self.network.backbone] if self.blocks == "all" else pick_blocks(self, self.network.groups)
        for part in chosen:
            add_low_rank_updates(part, self.rank, self.alpha / self.rank)

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        updates = [(m, 1.0) for m in self.network.backbone.modules() if isinstance(m, LowRank)]
        return [(self, 1.0), (self.network.backbone, 0.0), *updates]
