"""The network of an answer for every pixel: feature maps of the backbone, a bottleneck on the coarsest, a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError, unknown
from dalib.core.network import Network
from dalib.core.rows import Input
from dalib.nn.decoders import DECODERS, make_decoder
from dalib.nn.feature_levels import evaluating, feature_levels

PROBE = 64
"""Side of the image by which the widths of the feature maps are found, where the backbone names no side."""


class DenseNetwork(Network):
    """x -> (z, prediction), where z is the mean over positions of the maps that the decoder starts from.

    maps = feature maps of the backbone, fine to coarse;  f = bottleneck(coarsest);  z = mean over positions of f
    prediction = decoder(finer maps, f), enlarged to the image (bilinear)

    Args
        decoder: `unet` goes up through all maps; `fcn`, `deeplabv3` and `lraspp` are torchvision's heads; empty:
            `unet`

    Shapes
        x (B, 3, H, W) -> z (B, dim), prediction (B, outputs, H, W)
    """

    def __init__(
        self, backbone: Backbone, outputs: int, bottleneck: int = 256, *, decoder: str = "", **how: Any
    ) -> None:
        if not backbone.maps:
            raise DalibError(
                f"backbone '{backbone.name}' gives no feature maps, from which answers per pixel are made; use tiny, a "
                "resnet or a mobilenet"
            )
        self.decoder = decoder or "unet"
        if self.decoder not in DECODERS:
            raise unknown("train.decoder of pixels", self.decoder, DECODERS)
        super().__init__(backbone, outputs, bottleneck, **how)

    def make_layers(self, backbone: Backbone, outputs: int, bottleneck: int, initialisation: str) -> None:
        self.maps = backbone.maps
        widths = [level.shape[1] for level in probe_levels(backbone)[0]]
        self.dim = bottleneck or widths[-1]
        self.bottleneck = nn.Identity()
        if bottleneck:
            conv = nn.Conv2d(widths[-1], bottleneck, 1)
            if initialisation == "kaiming":
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            self.bottleneck = nn.Sequential(conv, nn.BatchNorm2d(bottleneck), nn.ReLU())
        self.head = make_decoder(self.decoder, [*widths[:-1], self.dim], outputs)

    def forward(self, x: Input) -> tuple[Tensor, Tensor]:
        assert isinstance(x, Tensor)
        *finer, coarsest = feature_levels(self.backbone, self.maps, x)
        f = self.bottleneck(coarsest)
        prediction = self.head([*finer, f])
        return f.mean((2, 3)), interpolate(prediction, x.shape[2:], mode="bilinear", align_corners=False)


def probe_levels(backbone: Backbone, maps: Sequence[str] = ()) -> tuple[list[Tensor], int]:
    """Feature maps of one black image, and the image's side; nothing of the module changes.

    maps: submodules that make them; none = all of the backbone's
    """
    module, side = backbone.module, backbone.preprocess.crop if backbone.preprocess else PROBE
    parameter = next(module.parameters())
    with torch.no_grad(), evaluating(module):
        black = torch.zeros(1, 3, side, side, dtype=parameter.dtype, device=parameter.device)
        return feature_levels(module, maps or backbone.maps, black), side
