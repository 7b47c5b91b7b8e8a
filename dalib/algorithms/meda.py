"""In the domains' common subspace, fit a kernel classifier that is smooth over neighbours and keeps means together."""

import warnings

import torch
from torch import Tensor
from torch.nn.functional import normalize

from dalib.core.algorithm import FeatureAlgorithm, TrainerLike
from dalib.core.hyper import number, positive, state, whole
from dalib.core.types import Domain
from dalib.nn.components import kernel_features
from dalib.nn.manifold import fit_with_own_labels
from dalib.nn.subspaces import geodesic_flow, principal_axes

LONG = 8000
"""Rows from which it takes minutes."""


class MEDA(FeatureAlgorithm):
    """Manifold embedded distribution alignment; it is its own classifier, the largest f_c is the class.

    f = argmin sum_s ||y_s - f(z_s)||² + eta * ||f||²_K + weight * tr Fᵀ M F + rho * tr Fᵀ L F,  F = f of all rows
    z = g / ||g||, g = GFK features;  f(z) = sum_i beta_i k(z_i, z),  k(a, b) = exp(-||a - b||² / 2);  y_s one-hot
    M ∝ (1 - mu) K M_0 + mu sum_c M_c, ||M||_F = 1 (see BDA);  L = normalised Laplacian of the cosine neighbours

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
    classifier = "nearest"
    C = 1.0
    k = 5
    components: int = whole(default=20, search=(10, 20, 40, 80), doc="dimensions of GFK's subspaces, cut to the data's")
    mu: float | str = number(
        default="estimated",
        least=0,
        most=1,
        words=("estimated",),
        search=("estimated", 0.0, 0.5, 1.0),
        doc="balance: 0 aligns domains only, 1 classes only (see `estimate_balance`)",
    )
    weight: float = positive(
        default=10.0, search=(1.0, 10.0, 100.0), doc="weight of the distance of means, the paper's lambda"
    )
    rho: float = positive(default=1.0, zero=True, doc="weight of the neighbours' agreement")
    eta: float = positive(default=0.1, doc="weight of ||f||²_K")
    neighbours: int = whole(default=10, doc="rows to which a row is linked besides itself")
    iterations: int = whole(default=10, doc="most solutions, each with the labels of the one before (first: 1-NN)")
    centre: Tensor = state()
    directions: Tensor = state()
    rows: Tensor = state()
    beta: Tensor = state()
    bias: Tensor = state()

    def pairs(self, n_s: int, n_t: int) -> float:
        return 5.0 * (n_s + n_t) ** 2

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        if len(source) + len(target) > LONG:
            warnings.warn(
                f"meda solves systems of {len(source) + len(target)} equations, up to {self.iterations} times, which "
                "takes minutes and grows with the cube; take a part of the rows, or fewer iterations",
                RuntimeWarning,
                stacklevel=2,
            )
        z_s, z_t = trainer.embed(self, source).double(), trainer.embed(self, target).double()
        y_s = torch.as_tensor(source.labels)
        k = min(self.components, len(z_s), len(z_t))
        W = geodesic_flow(principal_axes(z_s, k), principal_axes(z_t, k))
        g_s, g_t = (z_s - z_s.mean(0)) @ W, (z_t - z_t.mean(0)) @ W
        z, beta, bias = fit_with_own_labels(
            g_s, y_s, g_t, self.network.outputs, mu=None if self.mu == "estimated" else float(self.mu),
            weight=self.weight, rho=self.rho, eta=self.eta, neighbours=self.neighbours,
            iterations=self.iterations,
        )  # fmt: skip
        for name, value in {"centre": z_t.mean(0), "directions": W, "rows": z, "beta": beta, "bias": bias}.items():
            self.register_buffer(name, value)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = normalize((self.network.embed(x).double() - self.centre) @ self.directions)
        return z, kernel_features("rbf", z, self.rows, 0.5) @ self.beta + self.bias
