"""In the domains' common subspace, fit a kernel classifier that is smooth over neighbours and keeps means together."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from dalib.core.algorithm import TrainerLike
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.hyper import number, positive, state, whole
from dalib.core.needs import Needs, Size, need, need_classifier
from dalib.core.types import Domain
from dalib.nn.components import kernel_features
from dalib.nn.landmarks import fit_at_landmarks
from dalib.nn.manifold import fit_with_own_labels
from dalib.nn.subspaces import geodesic_flow, paired_axes


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
    version = 2
    instead = "landmarks = 1000, kernels at so many rows, a part of the rows, or coral, which needs no pairs of rows"
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
    landmarks: int = whole(
        default=0, least=0, doc="rows at which f has its kernels, evenly spaced in their order; 0 = all"
    )
    centre: Tensor = state()
    directions: Tensor = state()
    rows: Tensor = state()
    beta: Tensor = state()
    bias: Tensor = state()

    def needs(self, size: Size) -> Needs:
        r, m = min(size.d, max(size.n_s, size.n_t)), self.landmarks
        first = need_classifier(size, "nearest", 2 * self.components) + need(size, "4 n d", "6 n r d + 22 r³", r=r)
        if not m or m >= size.n_s + size.n_t:
            return first + need(size, "5 n²", "2 i n³", "15 n²", i=self.iterations)
        return first + need(
            size, "2 n m + 6 m²", "4 n m² + n² k + 5 m³ + i m³", "6 n² + 3 n m", m=m, i=self.iterations, k=20
        )

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        z_s, z_t = trainer.embed(self, source).double(), trainer.embed(self, target).double()
        y_s = torch.as_tensor(source.labels)
        W = geodesic_flow(*paired_axes(z_s, z_t, self.components))
        g_s, g_t = (z_s - z_s.mean(0)) @ W, (z_t - z_t.mean(0)) @ W
        how: dict[str, Any] = {
            name: getattr(self, name) for name in ("weight", "rho", "eta", "neighbours", "iterations")
        }
        how["mu"], K = None if self.mu == "estimated" else float(self.mu), self.network.outputs
        z, beta, bias = (
            fit_at_landmarks(g_s, y_s, g_t, K, self.landmarks, **how)
            if 0 < self.landmarks < len(g_s) + len(g_t)
            else fit_with_own_labels(g_s, y_s, g_t, K, **how)
        )
        for name, value in {"centre": z_t.mean(0), "directions": W, "rows": z, "beta": beta, "bias": bias}.items():
            self.register_buffer(name, value)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = normalize((self.network.embed(x).double() - self.centre) @ self.directions)
        return z, kernel_features("rbf", z, self.rows, 0.5) @ self.beta + self.bias
