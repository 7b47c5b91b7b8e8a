"""Weight the source rows with a sum of kernels under which the target rows are most likely, then fit a classifier."""

from typing import Any

from torch import Tensor

from dalib.algorithms._row_weighting import RowWeighting
from dalib.core.feature_algorithm import SOLVED
from dalib.core.hyper import positive, whole
from dalib.core.needs import Needs, Size, need
from dalib.nn.density_ratio import SIGMAS, kliep


class KLIEP(RowWeighting):
    """Kullback-Leibler importance estimation for covariate shift.

    w(z) = sum_l a_l k(z, c_l),  a = argmax mean_j log w(z_t_j),  a >= 0,  mean_i w(z_s_i) = 1
    classifier = argmin_f sum w(z_s_i) loss(f(z_s_i), y_i)

    Shapes
        z (n, d), y (n,)
    Reference
        Sugiyama et al. Direct Importance Estimation for Covariate Shift Adaptation. AISM 2008.
        Departures: the width is chosen by mean log w - mean w at rows of both domains left out; the paper leaves out
        target rows only and then takes kernels too narrow. Centres and folds are evenly spaced in the rows' sorted
        order, not drawn, so that the order of rows does not matter; widths are multiples of the root mean squared
        distance; Newton steps, not gradient ascent.
    """

    family = "importance weighting"
    objectives = SOLVED
    paper = "sugiyama2008kliep"
    centres: int = whole(default=100, search=(50, 100, 200), doc="kernels, at target rows")
    folds: int = whole(default=5, least=2, doc="parts of both domains, left out in turn to choose the kernel's width")
    bandwidth: float | None = positive(
        default=None,
        nothing=True,
        doc="sigma in root mean squared distances of the pooled rows; None: the likeliest for rows left out",
    )

    def needs(self, size: Size) -> Needs:
        tried = len(SIGMAS) if self.bandwidth is None else 1
        more: dict[str, Any] = {"c": min(self.centres, size.n_t), "i": tried, "fits": 30.0 * self.folds * tried}
        return super().needs(size) + need(
            size, "3 n d + 4 n c", "i n c d + fits n_t c²", "4 i n c + 2 fits n_t c", **more
        )

    def weigh(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        return self.usable(
            kliep(z_s, z_t, self.centres, SIGMAS if self.bandwidth is None else (self.bandwidth,), self.folds)
        )
