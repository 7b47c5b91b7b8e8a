"""Match the domains' means and, through pseudo-labels, the classes' means, then fit a classifier."""

from torch import Tensor

from dalib.algorithms._components import ComponentMethod
from dalib.core.hyper import whole


class JDA(ComponentMethod):
    """Joint distribution adaptation: TCA repeated with the distances of class means.

    W = leading eigenvectors of (phiᵀ M phi + reg I)^(-1) phiᵀ H phi,  z' = phi(z) W
    M ∝ K M_0 + sum_c M_c, ||M||_F = 1;  M_c = e_c e_cᵀ, phiᵀ e_c = mean of source class c - mean of rows labelled c

    Shapes
        z (n, d), y (n,); z' (n, components)
    Reference
        Long et al. Transfer Feature Learning with Joint Distribution Adaptation. ICCV 2013. doi:10.1109/ICCV.2013.274.
        Departures: M_0 counts K times, as in the authors' release (the paper: once); a class without pseudo-labelled
        rows is left out; with the default classifier, logistic regression labels the target in place of 1-NN.
    """

    family = "subspace"
    paper = "long2013jda"
    version = 2
    uses_labels = True
    iterations: int = whole(
        default=10, doc="solutions; every one but the first uses the labels that the one before gives the target"
    )

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        K = len(y_s.unique())
        return self.solve(z_s, y_s, z_t, self.iterations, marginal=K, conditional=1.0)
