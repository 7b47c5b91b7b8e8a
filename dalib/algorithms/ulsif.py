"""Weight the source rows with a sum of kernels fitted to the density ratio by least squares, then fit a classifier."""

from typing import Any

from torch import Tensor

from dalib.algorithms._row_weighting import RowWeighting
from dalib.core.feature_algorithm import SOLVED
from dalib.core.hyper import positive, whole
from dalib.core.needs import Needs, Size, need
from dalib.nn.density_ratio import SIGMAS, ulsif


class ULSIF(RowWeighting):
    """Unconstrained least-squares importance fitting for covariate shift.

    w(z) = sum_l a_l k(z, c_l),  a = max(0, (H + reg I)^(-1) h)
    H = mean_i phi(z_s_i) phi(z_s_i)ᵀ,  h = mean_j phi(z_t_j),  phi_l(z) = k(z, c_l)
    classifier = argmin_f sum w(z_s_i) loss(f(z_s_i), y_i)

    Shapes
        z (n, d), y (n,)
    Reference
        Kanamori, Hido & Sugiyama. A Least-squares Approach to Direct Importance Estimation. JMLR 2009.
        Kernel width and reg come from the closed form of the leave-one-out error, as in the paper.
        Departures: centres and left-out pairs are evenly spaced in the rows' sorted order, not drawn, so that the order
        of rows does not matter; widths are multiples of the root mean squared distance.
    """

    family = "importance weighting"
    objectives = SOLVED
    paper = "kanamori2009ulsif"
    centres: int = whole(default=100, search=(50, 100, 200), doc="kernels, at target rows")
    bandwidth: float | None = positive(
        default=None,
        nothing=True,
        doc="sigma in root mean squared distances of the pooled rows; None: of the least error on rows left out",
    )

    def needs(self, size: Size) -> Needs:
        tried = len(SIGMAS) if self.bandwidth is None else 1
        more: dict[str, Any] = {"c": min(self.centres, size.n_t), "i": tried, "all": 9.0 * tried}
        return super().needs(size) + need(size, "3 n d + 8 n c", "i n c d + all n c²", "4 i n c + 10 all n c", **more)

    def weigh(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        return self.usable(ulsif(z_s, z_t, self.centres, SIGMAS if self.bandwidth is None else (self.bandwidth,)))
