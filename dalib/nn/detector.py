"""torchvision's two stages of Faster R-CNN on a pyramid of feature maps, and what they make of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import log2

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import MultiScaleRoIAlign

from dalib.nn.boxes import as_targets, pack_answers

RATIOS = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class DetectorSize:
    """What there is of everything; the defaults are those of torchvision's Faster R-CNN with a pyramid.

    Args
        anchors: side of an anchor per pixel of its map's stride
        sides: of the anchors at every position of every map, in pixels, in place of `anchors`
        least: score below which a region is not proposed
        extra: a coarser map, of every second position of the coarsest, proposes too
        before, after: proposals kept before and after non-maximum suppression, in training and prediction
        pooled: positions a side that a region's features are pooled to
        hidden: width of the two layers on them
        anchors_per_image, regions_per_image: drawn for the losses
        answers: most boxes of a picture
    """

    anchors: float = 8.0
    extra: bool = True
    before: tuple[int, int] = (2000, 1000)
    after: tuple[int, int] = (2000, 1000)
    pooled: int = 7
    hidden: int = 1024
    anchors_per_image: int = 256
    regions_per_image: int = 512
    answers: int = 100
    sides: tuple[float, ...] = ()
    least: float = 0.0


SIZES = {
    "faster_rcnn": DetectorSize(),
    "faster_rcnn_320": DetectorSize(before=(2000, 150), after=(2000, 150)),
    "faster_rcnn_small": DetectorSize(3.0, False, (200, 100), (100, 40), 5, 128, 64, 48, 20),
}
"""By name: torchvision's, its own for pictures of 320 pixels, and one for pictures of some 100 pixels on a CPU."""


class Detector(nn.Module):
    """Region proposals and the heads on regions, both torchvision's, on maps of known strides.

    rpn: on every map, anchors of one size (or all of `sides`) and three shapes -> proposals
    roi_heads: pooled regions -> class and box

    Args
        width: channels of the maps
        strides: pixels of the picture per position of each map, fine to coarse
        outputs: K classes; the detector's class 0 is the background, its class k + 1 the objective's k
        size: see `DetectorSize`

    Shapes
        maps (B, width, h_i, w_i); y (B, M, 5); answers (B, size.answers, 6): `dalib.nn.boxes`
    """

    def __init__(self, width: int, strides: Sequence[int], outputs: int, size: DetectorSize) -> None:
        super().__init__()
        self.size = size
        levels = [*strides, 2 * strides[-1]] if size.extra else list(strides)
        sides = tuple(size.sides or (size.anchors * stride,) for stride in levels)
        anchors = AnchorGenerator(sides, (RATIOS,) * len(levels))
        top = [dict(zip(("training", "testing"), counts, strict=True)) for counts in (size.before, size.after)]
        self.rpn = RegionProposalNetwork(
            anchors, RPNHead(width, len(RATIOS) * len(sides[0])), 0.7, 0.3, size.anchors_per_image, 0.5, *top, 0.7,
            size.least,
        )  # fmt: skip
        names = [str(i) for i in range(len(strides))]
        middle = strides[len(strides) // 2]  # of the small one: a region of an anchor's size is read off its own map
        own = (
            {}
            if size.extra
            else {"canonical_scale": round(size.anchors * middle), "canonical_level": round(log2(middle))}
        )
        pool = MultiScaleRoIAlign(names, size.pooled, 2, **own)
        far = 8 * strides[-1]  # it keeps the maps' scales from its first call, which is this one
        black = {name: torch.zeros(1, width, far // s, far // s) for name, s in zip(names, strides, strict=True)}
        pool(black, [torch.tensor([[0.0, 0.0, far, far]])], [(far, far)])
        head = TwoMLPHead(width * size.pooled**2, size.hidden)
        predictor = FastRCNNPredictor(size.hidden, outputs + 1)
        self.roi_heads = RoIHeads(
            pool, head, predictor, 0.5, 0.5, size.regions_per_image, 0.25, None, 0.05, 0.5, size.answers
        )
        self.width, self.region_width = width, size.hidden

    def losses(self, maps: Sequence[Tensor], side: tuple[int, int], y: Tensor) -> dict[str, Tensor]:
        """Faster R-CNN's four: objectness and box of anchors, class and box of regions, each drawn at random."""
        targets, images = as_targets(y), _images(maps, side)
        with _mode(self, True):
            proposals, first = self.rpn(images, self._named(maps, extra=True), targets)
            _, second = self.roi_heads(self._named(maps), proposals, images.image_sizes, targets)
        return {name.removeprefix("loss_"): value for name, value in {**first, **second}.items()}

    def propose(self, maps: Sequence[Tensor], side: tuple[int, int]) -> list[Tensor]:
        """Regions (R_i, 4) of each picture as in prediction, best first, without gradient."""
        with _mode(self, False), torch.no_grad():
            proposals, _ = self.rpn(_images(maps, side), self._named(maps, extra=True))
        return list(proposals)

    def describe(self, maps: Sequence[Tensor], side: tuple[int, int], regions: Sequence[Tensor]) -> Tensor:
        """Features (sum of R_i, hidden) of the regions of each picture, on which class and box are decided."""
        pooled = self.roi_heads.box_roi_pool(self._named(maps), list(regions), [side] * len(maps[0]))
        features: Tensor = self.roi_heads.box_head(pooled)
        return features

    def detect(self, maps: Sequence[Tensor], side: tuple[int, int]) -> Tensor:
        """Boxes with a score of 0.05 or more, after non-maximum suppression: (B, size.answers, 6)."""
        regions = self.propose(maps, side)
        with _mode(self, False), torch.no_grad():
            found, _ = self.roi_heads(self._named(maps), regions, [side] * len(maps[0]))
        return pack_answers(found, self.size.answers, maps[0])

    def _named(self, maps: Sequence[Tensor], extra: bool = False) -> dict[str, Tensor]:
        named = {str(i): level for i, level in enumerate(maps)}
        if extra and self.size.extra:
            named["pool"] = nn.functional.max_pool2d(maps[-1], 1, 2)
        return named


def _images(maps: Sequence[Tensor], side: tuple[int, int]) -> ImageList:
    """torchvision asks the pictures for nothing but their sizes."""
    return ImageList(maps[0].new_empty(0, 3, *side), [side] * len(maps[0]))


@contextmanager
def _mode(detector: Detector, training: bool) -> Iterator[None]:
    """Both stages keep and draw as in training, or as in prediction; their layers are the same in either."""
    parts = (detector.rpn, detector.roi_heads)
    before = [part.training for part in parts]
    for part in parts:
        part.training = training
    try:
        yield
    finally:
        for part, flag in zip(parts, before, strict=True):
            part.training = flag
