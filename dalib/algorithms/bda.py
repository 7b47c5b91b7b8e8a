"""Weigh the distance of the domains' means against that of the classes' means, then fit a classifier."""

from torch import Tensor

from dalib.algorithms._components import ComponentMethod
from dalib.core.hyper import positive, whole


class BDA(ComponentMethod):
    """Balanced distribution adaptation: JDA with a balance between the marginal and the conditional distance.

    W = leading eigenvectors of (phiᵀ M phi + reg I)^(-1) phiᵀ H phi,  z' = phi(z) W
    M ∝ (1 - mu) K M_0 + mu sum_c M_c, ||M||_F = 1;  M_c = e_c e_cᵀ, phiᵀ e_c = difference of the means of class c

    Shapes
        z (n, d), y (n,); z' (n, components)
    Reference
        Wang et al. Balanced Distribution Adaptation for Transfer Learning. ICDM 2017. arXiv:1807.00516.
        Departures: M_0 counts K times, as in the authors' release; M does not carry over from one iteration to the
        next, as it does there; a class without pseudo-labelled rows is left out. The variant for class imbalance
        (W-BDA) is not offered.
    """

    family = "subspace"
    paper = "wang2017bda"
    uses_labels = True
    mu: float = positive(
        default=0.5,
        zero=True,
        most=1,
        search=(0.0, 0.25, 0.5, 0.75, 1.0),
        doc="0 aligns domains only (TCA), 1 classes only, 0.5 is JDA",
    )
    iterations: int = whole(
        default=10, doc="solutions; every one but the first uses the labels that the one before gives the target"
    )

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        marginal = (1 - self.mu) * len(y_s.unique())
        return self.solve(z_s, y_s, z_t, self.iterations, marginal, conditional=self.mu)
