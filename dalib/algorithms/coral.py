"""Give the source features the target's covariance, then fit a classifier."""

from torch import Tensor

from dalib.core.feature_algorithm import SOLVED, FeatureAlgorithm
from dalib.core.hyper import positive
from dalib.core.needs import Needs, Size, need
from dalib.nn.linalg import recolour


class CORAL(FeatureAlgorithm):
    """Correlation alignment in closed form; target rows stay where they are.

    z_s' = (z_s - m_s) C_s^(-1/2) C_t^(1/2) + m_t,  C = cov + reg * v * I,  v = mean variance of a feature

    Shapes
        z (n, d), y (n,)
    Reference
        Sun, Feng & Saenko. Return of Frustratingly Easy Domain Adaptation. AAAI 2016. arXiv:1511.05547.
        Departures: means move too and the ridge is scaled, which changes nothing on the paper's z-scored features;
        logistic regression where the paper has a linear SVM; a wider ridge where a domain has fewer rows than columns,
        whose covariance says little of most directions (docs/recipe.md).
    """

    family = "feature map"
    objectives = SOLVED
    version = 2
    paper = "sun2016coral"
    keeps_columns = True
    reg: float | str = positive(
        default="auto", words=("auto",), search=("auto", 0.1, 1.0, 10.0),
        doc="ridge over the mean variance; `auto`: 1 (the paper's), or columns over rows of the smaller domain if more",
    )  # fmt: skip
    C: float = positive(default=1.0, last=True, search=(0.1, 1.0, 10.0), doc="inverse regularisation of the classifier")

    def needs(self, size: Size) -> Needs:
        r = min(size.d, max(size.n_s, size.n_t))
        return super().needs(size) + need(size, "3 n d + 5 r²", "3 n r d + 12 r³", r=r)

    def carry(self, z: Tensor, z_s: Tensor, z_t: Tensor, moved: Tensor) -> Tensor:
        return recolour(z_s, z_t, self.reg, z)

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        return recolour(z_s, z_t, self.reg)
