"""Freeze the backbone and learn small residual bottlenecks between its blocks."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dalib.algorithms._blocks import check_blocks, pick_blocks
from dalib.algorithms._ranges import require_whole
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target
from dalib.nn.adapter import Adapter, insert_adapters
from dalib.nn.batch_norms import BATCH_NORMS

NORMS = (*BATCH_NORMS, nn.LayerNorm, nn.GroupNorm)


class Adapters(Algorithm):
    """An adapter behind each chosen block of the backbone; adapters, normalisation layers and head are learned.

    loss = CE(logits_s, y_s);  h -> h + U relu(D h) behind every block, at every position,  D (width, C), U (C, width)

    Args
        width: of the bottlenecks, >= 1; C where that is smaller
        blocks: which get one: `all`, `first`, or k >= 1: the last k. Other blocks are left alone, norms included
    Shapes
        h (B, C, H, W), (B, n, C) or (B, C); logits (B, K), y (B,); features have no blocks: the head (and bottleneck)
        alone is learned
    Raises
        DalibError: the backbone has fewer than k blocks
    Reference
        Houlsby et al. Parameter-Efficient Transfer Learning for NLP. ICML 2019. arXiv:1902.00751; on maps, D and U are
        1 x 1 convolutions as in Rebuffi et al. Learning Multiple Visual Domains with Residual Adapters. NeurIPS 2017.
        arXiv:1705.08045. width: one of the former's {8, 64, 256}. Departures: behind whole blocks, not inside them;
        U starts at 0 (there: near 0). Normalisation layers learn at the backbone's rate, adapters at that of new
        layers.
    """

    family = "fine-tuning"
    paper = "houlsby2019adapters"
    space = {"width": [8, 64, 256], "blocks": ["all", "first", 1, 2]}
    uses_target = False

    def __init__(self, width: int = 64, blocks: int | str = "all") -> None:
        super().__init__()
        self.width = width
        self.blocks = blocks

    def check(self) -> None:
        require_whole(self, "width")
        check_blocks(self)

    def build(self, dim: int, num_classes: int) -> None:
        insert_adapters(self.network, pick_blocks(self, self.network.groups), int(self.width))

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        parts = list(self.network.backbone.modules())
        chosen = pick_blocks(self, self.network.groups)
        reached = parts if self.blocks == "all" else [m for block in chosen for m in block.modules()]
        norms = [(m, backbone_rate) for m in reached if isinstance(m, NORMS)]
        adapters = [(m, 1.0) for m in parts if isinstance(m, Adapter)]
        return [(self, 1.0), (self.network.backbone, 0.0), *norms, *adapters]

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"classification": cross_entropy(source.logits, source.y)}
