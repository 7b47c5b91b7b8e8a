"""Align what a least-squares head would see: the inverse Gram matrices of the domains' features."""

from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.principal_angles import gram_distance


class DareGram(Algorithm):
    """Inverse Gram matrices, made for answers that are numbers: ordinary least squares is (AᵀA)^-1 Aᵀ y.

    loss = supervised + angle * mean_j |1 - cos(G_s^+ e_j, G_t^+ e_j)| + scale / k * ||lambda_s[:k] - lambda_t[:k]||
    G = AᵀA, A = [1 z];  lambda = its eigenvalues, of which the k leading ones (`threshold` of the trace) count

    Shapes
        z (B, d), y as the objective says
    Reference
        Nejjar, Wang & Fink. DARE-GRAM: Unsupervised Domain Adaptation Regression by Aligning Inverse Gram Matrices.
        CVPR 2023. arXiv:2303.13325. Defaults within those of the authors' dSprites scripts, which differ by task (angle
        0.01 to 0.1, scale 0.00001 to 0.001, threshold 0.9 to 0.999). Departure: the exact gradient of the truncated
        inverse (theirs: torch.linalg.pinv's).
    """

    family = "discrepancy"
    paper = "nejjar2023daregram"
    angle: float = positive(default=0.05, zero=True, search=(0.01, 0.05, 0.1), doc="trade-off of the angles")
    scale: float = positive(default=0.001, zero=True, search=(1e-5, 1e-3), doc="trade-off of the eigenvalues")
    threshold: float = positive(
        default=0.95, below=1, search=(0.9, 0.95, 0.999), doc="part of the trace that the inverse is made of"
    )

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"gram": gram_distance(source.z, target.z, self.angle, self.scale, self.threshold)}
