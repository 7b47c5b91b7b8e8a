"""Match the first two moments of every source with the target's, and of the sources with each other."""

from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.multi_source import multi_source_moment_distance


class M3SDA(Algorithm):
    """Moment matching for multi-source domain adaptation.

    loss = CE(logits_s, y_s) + weight * MD²
    MD² = sum_{k=1..moments} mean_i ||E z_i^k - E z_t^k|| + mean_{i<j} ||E z_i^k - E z_j^k||,  i, j sources

    Shapes
        z (B, d), logits (B, K), y (B,), origin (B,): which source a row is from
    Reference
        Peng et al. Moment Matching for Multi-Source Domain Adaptation. ICCV 2019. arXiv:1812.01754.
        Weight: the authors' code's, there for a sum over more terms. It does little on 256 features; see `space`.
        Departures: one classifier for all sources, trained on their rows together, and none of the per-source pairs
        that are weighted by source accuracy (M3SDA-beta); raw moments as in the paper (the authors' code centres
        features, goes to order 5 and divides a sum by 6); batches hold the sources in proportion to their sizes, and a
        source absent from one is left out of its means.
    """

    family = "discrepancy"
    setting = "multi-source"
    paper = "peng2019m3sda"
    lives_on = {"a second source": "moment matching of one source, which homm and cmd do too"}
    weight: float = positive(
        default=0.0005, zero=True, search=(0.0005, 0.01, 0.03, 0.1, 0.3), doc="trade-off; grows with z^moments, sqrt d"
    )
    moments: int = whole(default=2, search=(1, 2), doc="highest moment")

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        distance = multi_source_moment_distance(source.z, target.z, source.origin, self.network.origins, self.moments)
        return {"discrepancy": self.weight * distance}
