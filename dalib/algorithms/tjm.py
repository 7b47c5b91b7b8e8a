"""Match the domains' means and let go of source rows that do not help, then fit a classifier."""

import torch
from torch import Tensor

from dalib.algorithms._unit_rows import scale_components, warn_of_components
from dalib.core.feature_algorithm import SOLVED, FeatureAlgorithm
from dalib.core.hyper import choice, flag, positive, state, whole
from dalib.core.needs import Needs, Size, need, need_classifier
from dalib.nn.classifiers import CLASSIFIERS
from dalib.nn.components import match_jointly, mean_contrasts


class TJM(FeatureAlgorithm):
    """Transfer joint matching: TCA whose regulariser is sparse over source rows.

    A = argmin tr Aᵀ K M K A + reg * (sum of ||a_i|| over source rows + sum of ||a_i||² over target rows),  z' = K A
    K = linear kernel of unit rows,  M ∝ e eᵀ, K e = mean source column - mean target column

    Shapes
        z (n, d), y (n,); z' (n, components), scaled to unit length
    Reference
        Long et al. Transfer Joint Matching for Unsupervised Domain Adaptation. CVPR 2014. doi:10.1109/CVPR.2014.183.
        Departures: linear kernel only; components have the scale of `transfer_components`; rows have unit length before
        and after.
    """

    family = "subspace"
    objectives = SOLVED
    paper = "long2014tjm"
    version = 2
    components: int = whole(default=20, search=(10, 20, 40, 80), doc="dimensions of z'; at most the features' width")
    reg: float = positive(default=1.0, search=(0.1, 1.0, 10.0), doc="weight of the row norms")
    iterations: int = whole(default=10, doc="reweighted solutions; the first is TCA with a linear kernel")
    classifier: str = choice(
        default="nearest", options=CLASSIFIERS, last=True, doc="`nearest`, as in the paper, or `logistic`"
    )
    unit_rows: bool = flag(default=True, doc="scale rows to unit length, before and after; False: as they are")
    directions: Tensor = state()

    def needs(self, size: Size) -> Needs:
        r, more = min(size.d, size.n_s + size.n_t), need_classifier(size, self.classifier, self.components)
        return more + need(size, "5 n d + 6 r²", "11 n r d + 11 r³ + 3 i n r² + 12 i r³", r=r, i=self.iterations)

    def carry(self, z: Tensor, z_s: Tensor, z_t: Tensor, moved: Tensor) -> Tensor:
        return self.project(z)

    def project(self, z: Tensor) -> Tensor:
        return scale_components(scale_components(z, self.unit_rows) @ self.directions, self.unit_rows)

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        warn_of_components("tjm", z_s, z_t, y_s, self.unit_rows)
        z, E = scale_components(torch.cat([z_s, z_t]), self.unit_rows), mean_contrasts(y_s, len(z_t))
        directions = match_jointly(z, len(z_s), E, self.reg, self.components, self.iterations)
        self.register_buffer("directions", directions)
        return self.project(z_s)
