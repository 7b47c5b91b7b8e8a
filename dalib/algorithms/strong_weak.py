"""Strong alignment of what is small in a picture, weak alignment of the whole."""

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import sigmoid

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.adversarial import DomainDiscriminator, reverse_gradient
from dalib.nn.place_adversaries import PositionDiscriminator, focal_loss
from dalib.nn.seen import as_seen


class StrongWeak(Algorithm):
    """Least squares at every position of the finest map; a focal loss, which lets easy pictures be, on the whole.

    loss = detection + weight * (strong + weak)
    strong = (mean_uv D(R(f_s))² + mean_uv (1 - D(R(f_t)))²) / 2,  D in (0, 1), f = the backbone's finest map
    weak = (FL(E(R(g_s)), source) + FL(E(R(g_t)), target)) / 2,  FL = -(1 - p)^gamma log p,  g = its coarsest map

    Shapes
        f (B, C, h, w); g (B, C'), the mean over positions;  R reverses gradients
    Reference
        Saito et al. Strong-Weak Distribution Alignment for Adaptive Object Detection. CVPR 2019. arXiv:1812.04798, read
        in the authors' code. Departures: E is an MLP on the mean over positions (there: three convolutions of stride
        2 with batch norms before it); D is half as wide by default (there: 256 and 128); the discriminators' own
        features are not given to the heads on regions (there: the context vectors, options); `weight` is 1 throughout
        (there: 0.1 where the source is drawn by a computer).
    """

    family = "adversarial"
    objectives = ("detection",)
    undivided = "regions of a batch are not put together from several processes"
    paper = "saito2019strongweak"
    version = 2
    weight: float = positive(default=1.0, zero=True, search=(0.1, 0.3, 1.0), doc="trade-off of both terms")
    gamma: float = positive(default=5.0, zero=True, search=(3.0, 5.0), doc="how little sure pictures count")
    hidden: int = whole(default=128, doc="width of the discriminators' hidden layers")

    def build(self, dim: int, outputs: int) -> None:
        network: Any = self.network
        widths = network.level_widths
        self.local = PositionDiscriminator(widths[0], self.hidden, max(1, self.hidden // 2))
        self.whole = DomainDiscriminator(widths[-1], self.hidden, 0.5)

    def own_rates(self) -> list[tuple[nn.Module, float]]:
        return [(self.local, 1.0), (self.whole, 1.0)]

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        (f_s, *_, g_s), (f_t, *_, g_t) = (as_seen(rows.prediction).levels for rows in (source, target))
        d_s, d_t = (sigmoid(self.local(reverse_gradient(f))) for f in (f_s, f_t))
        strong = ((d_s**2).mean() + ((1 - d_t) ** 2).mean()) / 2
        e_s, e_t = (self.whole(reverse_gradient(g.mean((2, 3)))) for g in (g_s, g_t))
        weak = (focal_loss(e_s, True, self.gamma) + focal_loss(e_t, False, self.gamma)) / 2
        return {"strong": self.weight * strong, "weak": self.weight * weak}
