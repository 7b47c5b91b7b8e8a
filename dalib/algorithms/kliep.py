"""Weight the source rows with a sum of kernels under which the target rows are most likely, then fit a classifier."""

from __future__ import annotations

from torch import Tensor

from dalib.algorithms._ranges import require_whole
from dalib.algorithms._weights import RowWeighting
from dalib.core.errors import DalibError
from dalib.nn.density_ratio import kliep


class KLIEP(RowWeighting):
    """Kullback-Leibler importance estimation for covariate shift.

    w(z) = sum_l a_l k(z, c_l),  a = argmax mean_j log w(z_t_j),  a >= 0,  mean_i w(z_s_i) = 1
    classifier = argmin_f sum w(z_s_i) loss(f(z_s_i), y_i)

    Args
        centres: kernels, at target rows, >= 1
        folds: parts of both domains, left out in turn to choose the kernel's width, >= 2
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
    paper = "sugiyama2008kliep"
    space = {"centres": [50, 100, 200], "C": [0.1, 1.0, 10.0]}

    def __init__(self, centres: int = 100, folds: int = 5, classifier: str = "logistic", C: float = 1.0) -> None:
        super().__init__()
        self.centres = centres
        self.folds = folds
        self.classifier = classifier
        self.C = C

    def check(self) -> None:
        super().check()
        require_whole(self, "centres", "folds")
        if self.folds < 2:
            raise DalibError(f"kliep.folds = {self.folds!r} is out of range; give a whole number >= 2")

    def weigh(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        return self.usable(kliep(z_s, z_t, int(self.centres), folds=int(self.folds)))
