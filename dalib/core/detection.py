"""The network of an answer in boxes: a pyramid on the backbone's feature maps, and a detector on that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

from dalib.core.backbone import Backbone
from dalib.core.dense import PROBE, probe_levels
from dalib.core.errors import DalibError, unknown
from dalib.core.network import Network
from dalib.core.rows import Input
from dalib.nn.detector import SIZES, Detector
from dalib.nn.feature_levels import feature_levels
from dalib.nn.seen import Seen

FINEST = 4
"""Least stride of a map that is looked at."""
PREDICTOR = "roi_heads.box_predictor."
"""Of the classes that a detector's weights know."""
SMALL = 160
"""Side of a picture up to which the small detector is taken, unless one is named."""


class DetectionNetwork(Network):
    """x -> (z, what the detector sees): feature maps of the backbone, a pyramid over them, Faster R-CNN on top.

    maps_i = pyramid(feature maps of the backbone of stride 4 and more);  z = mean over positions of every map, side by
    side, so that what adapts z reaches all that the detector looks at

    Args
        bottleneck: channels of the pyramid; torchvision's has 256
        decoder: `faster_rcnn` as torchvision has it on this backbone, `faster_rcnn_320` with 150 proposals in
            prediction, `faster_rcnn_small` for pictures of some 100 pixels; empty: the small one up to 160 pixels a
            side

    Shapes
        x (B, 3, H, W) -> z (B, levels * bottleneck), `Seen` of B rows
    """

    head: Detector

    def __init__(
        self, backbone: Backbone, outputs: int, bottleneck: int = 256, *, decoder: str = "", **how: Any
    ) -> None:
        if not backbone.maps:
            raise DalibError(
                f"backbone '{backbone.name}' gives no feature maps, on which boxes are found; use tiny, a resnet or "
                "a mobilenet"
            )
        if not bottleneck:
            raise DalibError("bottleneck = 0, but a detector's pyramid needs a width; give 64, or 256 as torchvision")
        side = backbone.preprocess.crop if backbone.preprocess else PROBE
        self.decoder = decoder or ("faster_rcnn_small" if side <= SMALL else "faster_rcnn")
        if self.decoder not in SIZES:
            raise unknown("train.decoder of boxes", self.decoder, SIZES)
        super().__init__(backbone, outputs, bottleneck, **how)

    def make_layers(self, backbone: Backbone, outputs: int, bottleneck: int, initialisation: str) -> None:
        size, plan = SIZES[self.decoder], backbone.plan
        own = plan.maps if plan and size.extra else ()
        levels, side = probe_levels(backbone, own)
        strides = [round(side / level.shape[-1]) for level in levels]
        kept = [i for i, stride in enumerate(strides) if own or (stride >= FINEST and stride not in strides[:i])]
        self.maps = [(own or backbone.maps)[i] for i in kept]
        self.body = plan.body if plan else ""
        self.level_widths = [levels[i].shape[1] for i in kept]
        self.bottleneck = FeaturePyramidNetwork(self.level_widths, bottleneck)
        self.dim = len(kept) * bottleneck
        if plan:
            for module in self.backbone.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eps = plan.eps
        if plan and own:
            size = replace(size, sides=plan.anchors, least=plan.least)
        self.head = Detector(bottleneck, [strides[i] for i in kept], outputs, size)
        if backbone.detector:
            self.load_detector(backbone.detector, backbone.weights)

    def load_detector(self, state: Mapping[str, Tensor], origin: str) -> None:
        """Weights of torchvision's Faster R-CNN: pyramid, proposals and the layers on regions, not its classes.

        Raises
            DalibError: they are of another detector
        """
        parts: dict[str, nn.Module] = {"backbone.fpn.": self.bottleneck, "": self.head}
        for prefix, module in parts.items():
            given = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            own = {k: v for k, v in module.state_dict().items() if k.startswith(PREDICTOR)}
            known = {k: v for k, v in given.items() if prefix or k.startswith(("rpn.", "roi_heads."))}
            try:
                module.load_state_dict({**{k: v for k, v in known.items() if not k.startswith(PREDICTOR)}, **own})
            except RuntimeError as error:
                reason = " ".join(str(error).split()).partition(": ")[2][:120]
                raise DalibError(
                    f"weights '{origin}' are of another detector ({reason}); set train.decoder and train.bottleneck as "
                    "they were (torchvision's: faster_rcnn, 256)"
                ) from None

    def detector_state(self) -> dict[str, Tensor]:
        """All weights by torchvision's names, as a file of them has it: what `load_detector` takes."""
        body = self.backbone.get_submodule(self.body)
        parts = {"backbone.body.": body, "backbone.fpn.": self.bottleneck, "": self.head}
        return {f"{prefix}{k}": v for prefix, module in parts.items() for k, v in module.state_dict().items()}

    def forward(self, x: Input) -> tuple[Tensor, Any]:
        assert isinstance(x, Tensor)
        levels = feature_levels(self.backbone, self.maps, x)
        maps = list(self.bottleneck({str(i): level for i, level in enumerate(levels)}).values())
        z = torch.cat([level.mean((2, 3)) for level in maps], 1)
        height, width = x.shape[2:]
        return z, Seen(self.head, tuple(maps), tuple(levels), (height, width))
