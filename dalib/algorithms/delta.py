"""Fine-tune while the feature maps of every block stay near the pretrained network's."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.feature_maps import feature_map_distance, find_outlets, record_outputs

Self = TypeVar("Self", bound="DELTA")


class DELTA(Algorithm):
    """Deep learning transfer using feature maps, all channels alike.

    loss = CE(logits_s, y_s) + weight * sum_j 1/2 mean_i ||FM_j(x_i) - FM*_j(x_i)||²
    FM_j = output of the j-th block of the backbone, FM*_j = the pretrained one's, in evaluation mode, constant;
    || ||² sums over channels and averages over positions

    Shapes
        x (B, *S), logits (B, K), y (B,); features have no blocks: only CE is left
    Reference
        Li et al. DELTA: Deep Learning Transfer using Feature Map with Attention for Convolutional Networks. ICLR 2019.
        arXiv:1901.09229. weight: the authors' number, but here it multiplies a mean over rows, in their code
        a sum over the 64 of a batch: their strength is 0.64 here (on Stanford Dogs 6.4).
        Departures: no channel attention (their weights for equal attention; it costs a pass per channel beforehand);
        outputs of whole blocks, stem included (there: of four convolutions before their batch norms); the recipe's
        weight decay on all weights (there: .01 on the head alone). FM comes from a second pass over the rows, which
        batch norms see twice.
    """

    family = "fine-tuning"
    paper = "li2019delta"
    lives_on = {"a backbone that trains": "source_only"}
    uses_target = False
    weight: float = positive(
        default=0.01, zero=True, search=(0.01, 0.1, 0.64, 3.0), doc="trade-off; the term grows with the maps squared"
    )

    def build(self, dim: int, outputs: int) -> None:
        self.pretrained = copy.deepcopy(self.network.backbone).requires_grad_(False).eval()
        self.outlets = tuple(find_outlets(self.network.backbone, self.network.groups))

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return [*super().rates(backbone_rate), (self.pretrained, 0.0)]

    def train(self: Self, mode: bool = True) -> Self:
        super().train(mode)
        if hasattr(self, "pretrained"):
            self.pretrained.eval()
        return self

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        if not self.outlets:
            return {}
        with torch.no_grad():
            kept = self._maps(self.pretrained, source.x)
        pairs = zip(self._maps(self.network.backbone, source.x), kept, strict=True)
        return {"feature_maps": self.weight * torch.stack([feature_map_distance(*pair) for pair in pairs]).sum()}

    def _maps(self, backbone: nn.Module, x: Tensor) -> list[Tensor]:
        with record_outputs(backbone.get_submodule(name) for name in self.outlets) as maps:
            backbone(x)
        return maps
