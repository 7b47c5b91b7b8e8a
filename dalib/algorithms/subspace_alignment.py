"""Rotate the source's principal axes onto the target's, then fit a classifier."""

from torch import Tensor

from dalib.algorithms._projection import Projection
from dalib.core.feature_algorithm import SOLVED
from dalib.core.hyper import positive
from dalib.nn.subspaces import paired_axes


class SubspaceAlignment(Projection):
    """Each domain in its own principal subspace, the source's turned towards the target's.

    z_s' = (z_s - m_s) P_s P_sᵀ P_t,  z_t' = (z_t - m_t) P_t,  P = leading principal axes of a domain (d, components)

    Shapes
        z (n, d), y (n,)
    Reference
        Fernando et al. Unsupervised Visual Domain Adaptation Using Subspace Alignment. ICCV 2013.
        doi:10.1109/ICCV.2013.368. Departures: means are subtracted here (the paper z-scores each domain first, which
        does the same); the number of components comes from the variance they hold, not from the paper's
        stability bound.
    """

    family = "subspace"
    objectives = SOLVED
    paper = "fernando2013sa"
    version = 3
    C: float = positive(
        default=1.0, search=(0.1, 1.0, 10.0), doc="inverse regularisation of `logistic` and `svm`", last=True
    )

    def carry(self, z: Tensor, z_s: Tensor, z_t: Tensor, moved: Tensor) -> Tensor:
        P_s, _ = paired_axes(z_s, z_t, self.width(z_s, z_t))
        return (z - z_s.mean(0)) @ P_s @ (P_s.T @ self.directions)

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        P_s, P_t = paired_axes(z_s, z_t, self.width(z_s, z_t))
        self.keep(z_t.mean(0), P_t)
        return (z_s - z_s.mean(0)) @ P_s @ (P_s.T @ P_t)
