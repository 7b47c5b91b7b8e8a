"""Make the maps of a prediction's entropy look alike on both domains."""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from dalib.core.algorithm import Algorithm, Minimise, Terms
from dalib.core.errors import DalibError
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.map_discriminator import LEAST, MapDiscriminator
from dalib.nn.pixels import information_map


class ADVENT(Algorithm):
    """Adversarial entropy minimisation: a game of two phases per step, on I = -p log p / log K per pixel and class.

    A  network:  loss = CE(prediction_s, y_s) + weight * BCE(D(I_t), source)
    B  D:        loss = (BCE(D(I_s), source) + BCE(D(I_t), target)) / 2

    Shapes
        prediction (B, K, H, W), y (B, H, W); D: (B, K, H, W) -> one score per patch
    Reference
        Vu et al. ADVENT: Adversarial Entropy Minimization for Domain Adaptation in Semantic Segmentation. CVPR 2019.
        arXiv:1811.12833. D is the authors' (five 4 x 4 convolutions of stride 2), half as wide by default.
        Departures: one level of prediction in place of two; D learns by the recipe's optimiser (there: Adam at 0.4
        times the network's rate); `weight` is ten times the authors' 0.001, which is in its search.
    """

    family = "adversarial"
    objectives = ("segmentation",)
    paper = "vu2019advent"
    alone = "it plays a game of two phases"
    weight: float = positive(
        default=0.01, zero=True, search=(0.001, 0.01, 0.1), doc="trade-off of the adversarial term"
    )
    width: int = whole(default=32, doc="channels of the discriminator's first layer; each later one has twice as many")
    rate: float = positive(default=0.3, doc="factor on the recipe's lr for the discriminator")

    def build(self, dim: int, outputs: int) -> None:
        self.discriminator = MapDiscriminator(outputs, self.width)

    def own_rates(self) -> list[tuple[nn.Module, float]]:
        return [(self.discriminator, self.rate)]

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """Phase A's term; `step` plays the game."""
        side = min(target.prediction.shape[2:])
        if side < LEAST:
            raise DalibError(
                f"advent's discriminator needs maps of {LEAST} pixels or more, not {side}; raise train.crop"
            )
        return {"adversarial": self.weight * softplus(-self.discriminator(information_map(target.prediction))).mean()}

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        minimise(self.loss(source, target, progress), only=[self.network])
        with torch.no_grad():
            i_s, i_t = information_map(source.prediction), information_map(target.prediction)
        bce = (softplus(-self.discriminator(i_s)).mean() + softplus(self.discriminator(i_t)).mean()) / 2
        minimise({"discriminator": bce}, only=[self.discriminator])
