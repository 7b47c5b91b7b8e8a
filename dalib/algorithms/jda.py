"""Match the domains' means and, through pseudo-labels, the classes' means, then fit a classifier."""

from __future__ import annotations

from torch import Tensor

from dalib.algorithms._components import ComponentMethod
from dalib.algorithms._ranges import require_whole


class JDA(ComponentMethod):
    """Joint distribution adaptation: TCA repeated with the distances of class means.

    W = leading eigenvectors of (phiᵀ M phi + reg I)^(-1) phiᵀ H phi,  z' = phi(z) W
    M ∝ K M_0 + sum_c M_c, ||M||_F = 1;  M_c = e_c e_cᵀ, phiᵀ e_c = mean of source class c - mean of rows labelled c

    Args
        iterations: solutions; every one but the first uses the labels that the one before gives the target, >= 1
    Shapes
        z (n, d), y (n,); z' (n, components)
    Reference
        Long et al. Transfer Feature Learning with Joint Distribution Adaptation. ICCV 2013. doi:10.1109/ICCV.2013.274.
        Departures: M_0 counts K times, as in the authors' release (the paper: once); a class without pseudo-labelled
        rows is left out; with the default classifier, logistic regression labels the target in place of 1-NN.
    """

    family = "subspace"
    paper = "long2013jda"
    space = {"reg": [0.1, 1.0, 10.0], "components": [20, 40, 100], "kernel": ["primal", "linear", "rbf"]}

    def __init__(
        self,
        kernel: str = "primal",
        components: int = 20,
        reg: float = 1.0,
        gamma: float = 1.0,
        iterations: int = 10,
        classifier: str = "logistic",
        C: float = 1.0,
    ) -> None:
        super().__init__(kernel, components, reg, gamma, classifier, C)
        self.iterations = iterations

    def check(self) -> None:
        super().check()
        require_whole(self, "iterations")

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        K = len(y_s.unique())
        return self.solve(z_s, y_s, z_t, int(self.iterations), marginal=K, conditional=1.0)
