"""Source pictures in the target's light, and predictions of the target that are certain."""

from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.pixels import charbonnier_entropy


class FDA(Algorithm):
    """Fourier domain adaptation: the recipe's `fourier` changes the source's pictures before the network sees them.

    loss = CE(prediction_s, y_s) + weight * mean over target pixels of (H² + 1e-8)^power
    H = the pixel's entropy / log K

    Shapes
        prediction (B, K, H, W), y (B, H, W)
    Reference
        Yang & Soatto. FDA: Fourier Domain Adaptation for Semantic Segmentation. CVPR 2020. arXiv:2004.05498. Defaults:
        the authors' script; beta = 0.01 of `fourier` is the paper's smallest.
        Departures: one beta, so no mean over networks of three, and no self-training on it; the entropy counts from the
        first step (there: from the middle of training); it is that of the enlarged prediction.
    """

    family = "style transfer"
    objectives = ("segmentation",)
    paper = "yang2020fda"
    recipe = {"fourier": 0.01}
    weight: float = positive(default=0.005, zero=True, search=(0.0, 0.005, 0.05), doc="trade-off of the entropy")
    power: float = positive(default=2.0, doc="of the entropy's penalty; the larger, the less certain pixels count")

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"entropy": self.weight * charbonnier_entropy(target.prediction, self.power)}
