"""Freeze the backbone and learn small residual bottlenecks between its blocks."""

from torch import nn

from dalib.algorithms._blocks import pick_blocks
from dalib.core.algorithm import Algorithm
from dalib.core.hyper import whole
from dalib.nn.adapter import Adapter, insert_adapters
from dalib.nn.batch_norms import BATCH_NORMS

NORMS = (*BATCH_NORMS, nn.LayerNorm, nn.GroupNorm)


class Adapters(Algorithm):
    """An adapter behind each chosen block of the backbone; adapters, normalisation layers and head are learned.

    loss = CE(logits_s, y_s);  h -> h + U relu(D h) behind every block, at every position,  D (width, C), U (C, width)

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
    rows_only = True
    paper = "houlsby2019adapters"
    lives_on = {"a backbone that trains": "source_only"}
    uses_target = False
    width: int = whole(default=64, search=(8, 64, 256), doc="of the bottlenecks; C where that is smaller")
    blocks: int | str = whole(
        default="all", words=("all", "first"), search=("all", "first", 1, 2), doc="which get one; k: the last k"
    )

    def build(self, dim: int, outputs: int) -> None:
        insert_adapters(self.network, pick_blocks(self, self.network.groups), self.width)

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        parts = list(self.network.backbone.modules())
        chosen = pick_blocks(self, self.network.groups)
        reached = parts if self.blocks == "all" else [m for block in chosen for m in block.modules()]
        norms = [(m, backbone_rate) for m in reached if isinstance(m, NORMS)]
        adapters = [(m, 1.0) for m in parts if isinstance(m, Adapter)]
        return [(self, 1.0), (self.network.backbone, 0.0), *norms, *adapters]
