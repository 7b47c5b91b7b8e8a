"""Rotate the source's principal axes onto the target's, then fit a classifier."""

from torch import Tensor

from dalib.algorithms._projection import Projection
from dalib.core.hyper import whole
from dalib.nn.subspaces import principal_axes


class SubspaceAlignment(Projection):
    """Each domain in its own principal subspace, the source's turned towards the target's.

    z_s' = (z_s - m_s) P_s P_sᵀ P_t,  z_t' = (z_t - m_t) P_t,  P = leading principal axes of a domain (d, components)

    Shapes
        z (n, d), y (n,)
    Reference
        Fernando et al. Unsupervised Visual Domain Adaptation Using Subspace Alignment. ICCV 2013.
        doi:10.1109/ICCV.2013.368. Departures: means are subtracted here (the paper z-scores each domain first, which
        does the same); the number of components is given, not found by the paper's stability bound.
    """

    family = "subspace"
    paper = "fernando2013sa"
    components: int = whole(default=20, search=(40, 80), doc="dimensions of the subspace, cut to the data's")

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        P_s, P_t = (principal_axes(z, self.components) for z in (z_s, z_t))
        self.keep(z_t.mean(0), P_t)
        return (z_s - z_s.mean(0)) @ P_s @ (P_s.T @ P_t)
