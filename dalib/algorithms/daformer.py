"""A teacher labels target pictures, half of a source picture's classes are laid on them, rare classes come often."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from dalib.algorithms._teacher import Taught
from dalib.core.algorithm import Terms
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.feature_levels import evaluating, feature_levels
from dalib.nn.pixels import draw_class_mask, feature_distance, weighed_cross_entropy


class DAFormer(Taught):
    """DAFormer's way of training on any network: mean teacher, ClassMix and rare-class sampling.

    loss = CE(prediction_s, y_s) + weight * mean over pixels of w CE(student(m x_s + (1 - m) x_t'), m y_s + (1 - m) l)
         + distance * mean over positions that show a thing of |f(x_s) - f_0(x_s)|_2
    l = argmax of the teacher on x_t; m = pixels of half of the classes of y_s; x_t' = the strong view, cut out alike
    w = 1 where m, else the part of the teacher's pixels that are surer than `threshold`
    f = the backbone's coarsest map, f_0 = that of the weights it began with; both in evaluation mode
    after step n = 0, 1, …:  teacher := a * teacher + (1 - a) * student,  a = min(1 - 1 / (n + 1), decay)

    Shapes
        x (B, 3, H, W), prediction (B, K, H, W), y (B, H, W)
    Reference
        Hoyer et al. DAFormer: Improving Network Architectures and Training Strategies for Domain-Adaptive Semantic
        Segmentation. CVPR 2022. arXiv:2111.14887, and the authors' code; ClassMix: Olsson et al. arXiv:2007.07936.
        Departures: any network; no feature distance unless asked for (there `distance` is 0.005, features are those of
        training and things chosen class by class); the recipe's strong view (there: colour jitter and blur of the
        mixture); `decay` 0.99, for some hundred steps (there: 0.999, for 40 000); the teacher is in evaluation mode
        with averaged batch-norm statistics; half of the classes of each picture (there: of the batch), never the pixels
        without a label. The teacher predicts (there: the student).
    """

    family = "self-training"
    objectives = ("segmentation",)
    paper = "hoyer2022daformer"
    views = 2
    recipe = {"sampler": "rare_classes"}
    weight: float = positive(default=1.0, zero=True, search=(0.3, 1.0), doc="trade-off of the mixed pictures")
    threshold: float = positive(
        default=0.968, zero=True, most=1, search=(0.9, 0.968), doc="probability of a sure pixel"
    )
    decay: float = positive(default=0.99, zero=True, below=1, doc="most of itself that the teacher keeps in a step")
    distance: float = positive(default=0.0, zero=True, doc="trade-off of the distance to the backbone's first features")
    things: int = whole(default=1, least=0, doc="number of the first class that is a thing, for `distance`")

    def build(self, dim: int, outputs: int) -> None:
        super().build(dim, outputs)
        if self.distance:
            self.first = copy.deepcopy(self.network.backbone).requires_grad_(False)

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return [*super().rates(backbone_rate), *([(self.first, 0.0)] if self.distance else [])]

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        n = min(len(source), len(target))
        with torch.no_grad():
            sure, label = self.teacher(target.x[:n])[1].softmax(1).max(1)
            m = draw_class_mask(source.y[:n])
            part = (sure >= self.threshold).float().mean()
            x = torch.where(m[:, None], source.x[:n], target.strong.x[:n])
        mixed = self.network(x)[1].float()
        loss = weighed_cross_entropy(mixed, torch.where(m, source.y[:n], label), torch.where(m, 1.0, part))
        return {"mixed": self.weight * loss} | (
            {"distance": self.distance * self.stray(source)} if self.distance else {}
        )

    def stray(self, source: Source) -> Tensor:
        """How far the features of things in source pictures are from those that the backbone began with."""
        network: Any = self.network
        coarsest = []
        for module in (network.backbone, self.first):
            with evaluating(module):
                coarsest += feature_levels(module, network.maps[-1:], source.x)
        f, kept = coarsest
        return feature_distance(f, kept, source.y, network.outputs, self.things)
