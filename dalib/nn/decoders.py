"""From feature maps to scores for every pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

DECODERS = ("unet", "fcn", "deeplabv3", "lraspp")
LEAST = 16


class UNet(nn.Module):
    """A small U-Net: from the coarsest map upwards, each enlarged, laid beside the next finer one and convolved.

    h_L = maps_L;  h_i = relu(BN(conv3x3([enlarge(h_{i+1}), maps_i])));  scores = conv1x1(h_1)
    Each level is half as wide as the one below it, but not narrower than 16.

    Args
        widths: channels of the maps, fine to coarse
        outputs: scores per pixel

    Shapes
        maps (B, C_i, h_i, w_i), fine to coarse -> (B, outputs, h_1, w_1)
    """

    def __init__(self, widths: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        below = widths[-1]
        for width in reversed(widths[:-1]):
            here = max(LEAST, below // 2)
            conv = nn.Conv2d(below + width, here, 3, padding=1, bias=False)
            self.levels.append(nn.Sequential(conv, nn.BatchNorm2d(here), nn.ReLU(inplace=True)))
            below = here
        self.scores = nn.Conv2d(below, outputs, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        h = maps[-1]
        for level, finer in zip(self.levels, reversed(maps[:-1]), strict=True):
            larger = interpolate(h, finer.shape[2:], mode="bilinear", align_corners=False)
            h = level(torch.cat([larger, finer], 1))
        scores: Tensor = self.scores(h)
        return scores


class OnCoarsest(nn.Module):
    """A head on the coarsest map alone (torchvision's FCN and DeepLabV3)."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        scores: Tensor = self.head(maps[-1])
        return scores


class OnTwo(nn.Module):
    """A head on the coarsest map and the next finer one (torchvision's LR-ASPP)."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        scores: Tensor = self.head({"low": maps[-2], "high": maps[-1]})
        return scores


def make_decoder(kind: str, widths: Sequence[int], outputs: int) -> nn.Module:
    """The decoder of that name, one of DECODERS, on maps of these widths, fine to coarse."""
    if kind == "unet":
        return UNet(widths, outputs)
    from torchvision.models.segmentation.deeplabv3 import DeepLabHead
    from torchvision.models.segmentation.fcn import FCNHead
    from torchvision.models.segmentation.lraspp import LRASPPHead

    if kind == "lraspp":
        return OnTwo(LRASPPHead(widths[-2], widths[-1], outputs, 128))
    return OnCoarsest((DeepLabHead if kind == "deeplabv3" else FCNHead)(widths[-1], outputs))
