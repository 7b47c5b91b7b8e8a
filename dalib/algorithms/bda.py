"""Weigh the distance of the domains' means against that of the classes' means, then fit a classifier."""

from torch import Tensor

from dalib.algorithms._components import ComponentMethod
from dalib.core.hyper import number, whole


class BDA(ComponentMethod):
    """Balanced distribution adaptation: JDA with a balance between the marginal and the conditional distance.

    W = leading eigenvectors of (phiᵀ M phi + reg I)^(-1) phiᵀ H phi,  z' = phi(z) W
    M ∝ (1 - mu) K M_0 + mu sum_c M_c, ||M||_F = 1;  M_c = e_c e_cᵀ, phiᵀ e_c = difference of the means of class c

    Shapes
        z (n, d), y (n,); z' (n, components)
    Reference
        Wang et al. Balanced Distribution Adaptation for Transfer Learning. ICDM 2017. arXiv:1807.00516.
        The estimate of mu is that of Wang et al. MEDA. ACM MM 2018. arXiv:1807.07258, which the authors' release of BDA
        offers too (there 0.5 unless asked): 0 in the first solution, then from the rows that the last one moved.
        Departures: M_0 counts K times, as in the authors' release, and as there mu takes the mean of the classes'
        distances; rows are scaled before a distance; M does not carry over from one iteration to the next, as it does
        in the older Matlab release; a class without pseudo-labelled rows is left out. The variant for class imbalance
        (W-BDA) is not offered.
    """

    family = "subspace"
    paper = "wang2017bda"
    uses_labels = True
    version = 3
    mu: float | str = number(
        default="estimated",
        least=0,
        most=1,
        words=("estimated",),
        search=("estimated", 0.0, 0.25, 0.5, 0.75, 1.0),
        doc="0 aligns domains only (TCA), 1 classes only, 0.5 is JDA; or of every solution's rows (`estimate_balance`)",
    )
    iterations: int = whole(
        default=10, doc="solutions; every one but the first uses the labels that the one before gives the target"
    )

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        K = len(y_s.unique())
        if self.mu == "estimated":
            return self.solve(z_s, y_s, z_t, self.iterations, marginal=K, conditional=None)
        mu = float(self.mu)
        return self.solve(z_s, y_s, z_t, self.iterations, marginal=(1 - mu) * K, conditional=mu)
