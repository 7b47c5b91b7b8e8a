"""Project both domains onto components in which their means agree and their variance stays, then fit a classifier."""

from torch import Tensor

from dalib.algorithms._components import ComponentMethod
from dalib.core.feature_algorithm import SOLVED


class TCA(ComponentMethod):
    """Transfer component analysis.

    W = leading eigenvectors of (phiᵀ M phi + reg I)^(-1) phiᵀ H phi,  z' = phi(z) W
    M = e eᵀ / ||e||²,  phiᵀ e = mean of phi(z_s) - mean of phi(z_t),  H = I - 11ᵀ/n

    Shapes
        z (n, d), y (n,); z' (n, components)
    Reference
        Pan et al. Domain Adaptation via Transfer Component Analysis. TNN 2011. doi:10.1109/TNN.2010.2091281.
        Departures, those of the runs that Long et al. (ICCV 2013) and later papers report: rows have unit length before
        and after, M unit Frobenius norm, and phi is z itself by default (the paper: phi = kernel at all rows).
    """

    family = "subspace"
    objectives = SOLVED
    paper = "pan2011tca"
    version = 2

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        return self.solve(z_s, y_s, z_t, iterations=1, marginal=1.0, conditional=0.0)
