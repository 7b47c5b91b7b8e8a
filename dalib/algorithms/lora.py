"""Freeze the backbone and learn a low-rank update of each of its weights."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dalib.algorithms._blocks import check_blocks, pick_blocks
from dalib.algorithms._ranges import require_positive, require_whole
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target
from dalib.nn.low_rank import LowRank, add_low_rank_updates


class LoRA(Algorithm):
    """Low-rank adaptation of every dense layer of the backbone; the head is learned too.

    loss = CE(logits_s, y_s);  W = W_0 + alpha / rank * B A,  W_0 (out, in) frozen, B (out, rank), A (rank, in)

    Args
        rank: of the updates, >= 1
        alpha: scale of the updates, > 0
        blocks: whose weights: `all` (also of layers outside blocks), `first`, or k >= 1: the last k
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
    space = {"rank": [2, 4, 8, 16], "alpha": [8.0, 16.0, 32.0], "blocks": ["all", "first", 1, 2]}
    uses_target = False

    def __init__(self, rank: int = 8, alpha: float = 16.0, blocks: int | str = "all") -> None:
        super().__init__()
        self.rank = rank
        self.alpha = alpha
        self.blocks = blocks

    def check(self) -> None:
        require_whole(self, "rank")
        require_positive(self, "alpha")
        check_blocks(self)

    def build(self, dim: int, num_classes: int) -> None:
        chosen = [self.network.backbone] if self.blocks == "all" else pick_blocks(self, self.network.groups)
        for part in chosen:
            add_low_rank_updates(part, int(self.rank), self.alpha / self.rank)

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        updates = [(m, 1.0) for m in self.network.backbone.modules() if isinstance(m, LowRank)]
        return [(self, 1.0), (self.network.backbone, 0.0), *updates]

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"classification": cross_entropy(source.logits, source.y)}
