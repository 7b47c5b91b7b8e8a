"""Weigh the distance of the domains' means against that of the classes' means, then fit a classifier."""

from __future__ import annotations

from torch import Tensor

from dalib.algorithms._components import ComponentMethod
from dalib.algorithms._ranges import require_positive, require_whole
from dalib.core.errors import DalibError


class BDA(ComponentMethod):
    """Balanced distribution adaptation: JDA with a balance between the marginal and the conditional distance.

    W = leading eigenvectors of (phiᵀ M phi + reg I)^(-1) phiᵀ H phi,  z' = phi(z) W
    M ∝ (1 - mu) K M_0 + mu sum_c M_c, ||M||_F = 1;  M_c = e_c e_cᵀ, phiᵀ e_c = difference of the means of class c

    Args
        mu: balance in [0, 1]; 0 aligns the domains only (TCA), 1 the classes only, 0.5 is JDA
        iterations: solutions; every one but the first uses the labels that the one before gives the target, >= 1
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
    space = {"mu": [0.0, 0.25, 0.5, 0.75, 1.0], "reg": [0.1, 1.0, 10.0], "components": [20, 40, 100]}

    def __init__(
        self,
        mu: float = 0.5,
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
        self.mu = mu

    def check(self) -> None:
        super().check()
        require_whole(self, "iterations")
        require_positive(self, "mu", zero=True)
        if self.mu > 1:
            raise DalibError(f"bda.mu = {self.mu} is out of range; give a number in [0, 1]")

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        marginal = (1 - self.mu) * len(y_s.unique())
        return self.solve(z_s, y_s, z_t, int(self.iterations), marginal, conditional=self.mu)
