"""Average over all subspaces on the geodesic between the domains' principal subspaces, then fit a classifier."""

from torch import Tensor

from dalib.algorithms._projection import Projection
from dalib.core.feature_algorithm import SOLVED
from dalib.nn.subspaces import geodesic_flow, paired_axes


class GFK(Projection):
    """Geodesic flow kernel as a map.

    z' = (z - m) W,  W Wᵀ = G = integral over t in [0, 1] of Phi(t) Phi(t)ᵀ,  m = mean of the row's own domain
    Phi = geodesic on the Grassmannian from the source's principal axes P_s (d, components) to the target's P_t

    Shapes
        z (n, d), y (n,); z' (n, 2 * components)
    Reference
        Gong et al. Geodesic Flow Kernel for Unsupervised Domain Adaptation. CVPR 2012. doi:10.1109/CVPR.2012.6247911.
        Departures: means are subtracted here (the paper z-scores each domain first); the number of components
        comes from the variance they hold, not from the paper's disagreement measure; both subspaces come from PCA.
    """

    family = "subspace"
    objectives = SOLVED
    paper = "gong2012gfk"
    version = 3

    def carry(self, z: Tensor, z_s: Tensor, z_t: Tensor, moved: Tensor) -> Tensor:
        return self.project(z - z_s.mean(0) + self.centre)

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        W = geodesic_flow(*paired_axes(z_s, z_t, self.width(z_s, z_t)))
        self.keep(z_t.mean(0), W)
        return (z_s - z_s.mean(0)) @ W
