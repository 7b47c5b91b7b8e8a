"""In the domains' common subspace, fit a kernel classifier that is smooth over neighbours and keeps means together."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from dalib.algorithms._ranges import require_positive, require_whole
from dalib.core.algorithm import FeatureAlgorithm, TrainerLike
from dalib.core.errors import DalibError
from dalib.core.types import Domain
from dalib.nn.components import kernel_features
from dalib.nn.manifold import fit_with_own_labels
from dalib.nn.subspaces import geodesic_flow, principal_axes


class MEDA(FeatureAlgorithm):
    """Manifold embedded distribution alignment; it is its own classifier, the largest f_c is the class.

    f = argmin sum_s ||y_s - f(z_s)||² + eta * ||f||²_K + weight * tr Fᵀ M F + rho * tr Fᵀ L F,  F = f of all rows
    z = g / ||g||, g = GFK features;  f(z) = sum_i beta_i k(z_i, z),  k(a, b) = exp(-||a - b||² / 2);  y_s one-hot
    M ∝ (1 - mu) K M_0 + mu sum_c M_c, ||M||_F = 1 (see BDA);  L = normalised Laplacian of the cosine neighbours

    Args
        components: dimensions of the subspaces of GFK, >= 1; at most the features' width and the smaller domain's rows
        mu: balance in [0, 1]; 0 aligns the domains only, 1 the classes only; `estimated`: see `estimate_balance`
        weight: weight of the distance of means, the paper's lambda, > 0
        rho: weight of the neighbours' agreement, >= 0
        eta: weight of ||f||²_K, > 0
        neighbours: rows to which a row is linked besides itself, >= 1
        iterations: most solutions, each with the labels that the one before gives the target, >= 1; it ends sooner
            when none changes. The first labels are those of 1-NN
    Shapes
        z (n, 2 * components), y (n,)
    Reference
        Wang et al. Visual Domain Adaptation with Manifold Embedded Distribution Alignment. ACM MM 2018.
        arXiv:1807.07258. Defaults: those of the paper on Office-Caltech10 (SURF).
        Departures: M_0 counts K times and mu takes the mean of the classes' distances, as in the authors' release; that
        compares source class c with target class 1, here with c; rows are scaled before the distances; GFK subtracts
        each domain's mean; a class without pseudo-labelled rows is left out.
    """

    family = "subspace"
    paper = "wang2018meda"
    space = {"mu": ["estimated", 0.0, 0.5, 1.0], "weight": [1.0, 10.0, 100.0], "components": [10, 20, 40, 80]}
    classifier = "nearest"
    C = 1.0
    centre: Tensor
    directions: Tensor
    rows: Tensor
    beta: Tensor
    bias: Tensor

    def __init__(
        self,
        components: int = 20,
        mu: float | str = "estimated",
        weight: float = 10.0,
        rho: float = 1.0,
        eta: float = 0.1,
        neighbours: int = 10,
        iterations: int = 10,
    ) -> None:
        super().__init__()
        self.components = components
        self.mu = mu
        self.weight = weight
        self.rho = rho
        self.eta = eta
        self.neighbours = neighbours
        self.iterations = iterations

    def check(self) -> None:
        require_whole(self, "components", "neighbours", "iterations")
        require_positive(self, "weight", "eta")
        require_positive(self, "rho", zero=True)
        number = isinstance(self.mu, (int, float)) and not isinstance(self.mu, bool)
        if self.mu != "estimated" and not (number and 0 <= float(self.mu) <= 1):
            raise DalibError(f"meda.mu = {self.mu!r} is out of range; give `estimated` or a number in [0, 1]")

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        z_s, z_t = trainer.embed(self, source).double(), trainer.embed(self, target).double()
        y_s = torch.as_tensor(source.labels)
        k = min(int(self.components), len(z_s), len(z_t))
        W = geodesic_flow(principal_axes(z_s, k), principal_axes(z_t, k))
        g_s, g_t = (z_s - z_s.mean(0)) @ W, (z_t - z_t.mean(0)) @ W
        z, beta, bias = fit_with_own_labels(
            g_s, y_s, g_t, self.network.num_classes, mu=None if self.mu == "estimated" else float(self.mu),
            weight=self.weight, rho=self.rho, eta=self.eta, neighbours=int(self.neighbours),
            iterations=int(self.iterations),
        )  # fmt: skip
        for name, value in {"centre": z_t.mean(0), "directions": W, "rows": z, "beta": beta, "bias": bias}.items():
            self.register_buffer(name, value)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = normalize((self.network.embed(x).double() - self.centre) @ self.directions)
        return z, kernel_features("rbf", z, self.rows, 0.5) @ self.beta + self.bias
