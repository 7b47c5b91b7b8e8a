"""Bring the subspaces that the domains' features span together, without touching the features' scale."""

from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.principal_angles import subspace_distance


class RSD(Algorithm):
    """Representation subspace distance, made for answers that are numbers: the scale of features decides those.

    loss = supervised + weight * (sum_i sin(theta_i) + mismatch * || |P_s| - |P_t| ||_F)
    theta = principal angles between the spans of z_s and z_t, P = the rotations that bring their bases together

    Shapes
        z (B, d), y as the objective says
    Reference
        Chen et al. Representation Subspace Distance for Domain Adaptation Regression. ICML 2021. Defaults: the authors'
        dSprites script. Departures: at most d // 2 dimensions are compared, for a batch of d rows spans everything;
        gradients stay finite where singular values agree.
    """

    family = "discrepancy"
    paper = "chen2021rsd"
    weight: float = positive(default=0.001, zero=True, search=(0.001, 0.003, 0.01, 0.03), doc="trade-off")
    mismatch: float = positive(
        default=0.1, zero=True, search=(0.01, 0.1), doc="weight of the bases' mismatch beside the angles"
    )

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"subspace": self.weight * subspace_distance(source.z, target.z, self.mismatch)}
