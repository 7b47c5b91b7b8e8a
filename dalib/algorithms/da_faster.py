"""Neither positions of a map nor regions tell a discriminator the domain, and both discriminators agree."""

from typing import Any

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.adversarial import DomainDiscriminator, reverse_gradient
from dalib.nn.place_adversaries import PositionDiscriminator, disagreement, domain_loss
from dalib.nn.seen import as_seen


class DAFaster(Algorithm):
    """Domain-adaptive Faster R-CNN: an adversary on the picture, one on the regions, and their consistency.

    loss = detection + weight * (image + region + consistency)
    image = BCE(D(R(f_uv)), domain) over positions of all maps;  region = BCE(E(R(v_j)), domain) over regions
    consistency = mean over regions and levels of |mean_uv sigmoid D(f_uv) - sigmoid E(v_j)|;  R reverses gradients

    Shapes
        maps f (B, C, h, w) of each level, v (R, d): what class and box of the `regions` best proposals are decided on
    Reference
        Chen et al. Domain Adaptive Faster R-CNN for Object Detection in the Wild. CVPR 2018. arXiv:1803.03243; read in
        the authors' code (both adversaries; reversed gradients there are scaled by 0.1, and of the losses the region's
        counts 0.1, the image's 1) and in the PyTorch version (krumo), which has the consistency and does without
        reversal there. Departures: one `weight` for all three, each domain counts half, D is one for all levels of the
        pyramid (as in that version), smaller discriminators by default.
    """

    family = "adversarial"
    objectives = ("detection",)
    undivided = "regions of a batch are not put together from several processes"
    paper = "chen2018dafaster"
    version = 2
    weight: float = positive(default=0.1, zero=True, search=(0.03, 0.1, 0.3), doc="trade-off of the three terms")
    regions: int = whole(default=32, doc="proposals of each picture that E looks at, the best ones")
    hidden: int = whole(default=256, doc="width of the discriminators' hidden layers")

    def build(self, dim: int, outputs: int) -> None:
        detector: Any = self.network.head
        self.of_positions = PositionDiscriminator(detector.width, self.hidden)
        self.of_regions = DomainDiscriminator(detector.region_width, self.hidden, 0.5)

    def own_rates(self) -> list[tuple[nn.Module, float]]:
        return [(self.of_positions, 1.0), (self.of_regions, 1.0)]

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        seen = as_seen(source.prediction).joined([as_seen(target.prediction)])
        boxes = [found[: self.regions] for found in seen.propose()]
        v, place = seen.describe(boxes), torch.arange(len(seen), device=source.z.device)
        owner = place.repeat_interleave(torch.tensor([len(found) for found in boxes], device=place.device))
        scores = [self.of_positions(reverse_gradient(f)) for f in seen.maps]
        wide = [(place < len(source))[:, None, None].expand_as(d).flatten() for d in scores]
        image = domain_loss(torch.cat([d.flatten() for d in scores]), torch.cat(wide))
        region = domain_loss(self.of_regions(reverse_gradient(v)), owner < len(source))
        apart = disagreement([self.of_positions(f) for f in seen.maps], self.of_regions(v), owner)
        return {"image": self.weight * image, "region": self.weight * region, "consistency": self.weight * apart}
