"""Give each domain a projection of its own, close to the other's, that keeps classes apart and means together."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from dalib.algorithms._ranges import require_positive, require_whole
from dalib.core.algorithm import FeatureAlgorithm
from dalib.nn.classifiers import fit_classifier, score_classifier
from dalib.nn.components import mean_contrasts
from dalib.nn.coupled_projections import couple_projections


class JGSA(FeatureAlgorithm):
    """Joint geometrical and statistical alignment, on the features themselves (the paper's primal form).

    max_{A, B} tr(mu Bᵀ S_t B + beta Aᵀ S_b A) / tr(means + weight * ||A - B||² + beta Aᵀ S_w A + mu ||B||²)
    z_s' = z_s A,  z_t' = z_t B,  means = K ||m_s A - m_t B||² + sum_c ||m_s^c A - m_t^c B||², times n_s n_t / (n K)
    S_t = target's scatter, S_b and S_w = between- and within-class scatter of the source; m_t^c from pseudo-labels

    Args
        components: dimensions of z', >= 1; at most K + min(d, n_t)
        weight: weight of ||A - B||² beside the distance of means (on unit rows), the paper's lambda, > 0
        mu: weight of the target's variance and of ||B||², > 0
        beta: weight of the source's class scatters, > 0
        iterations: most solutions, >= 1; it ends sooner when no pseudo-label changes
        classifier: `nearest`, as in the paper, `logistic` or `svm`; it also gives the pseudo-labels
        C: inverse regularisation of `logistic` and `svm`, > 0
    Shapes
        z (n, d), y (n,); z' (n, components)
    Reference
        Zhang, Li & Ogunbona. Joint Geometrical and Statistical Alignment for Visual Domain Adaptation. CVPR 2017.
        arXiv:1705.05498. Defaults: those of the authors' runs on Office-Caltech10.
        Departures, the first three those of the authors' release: rows have unit length before; the distance of the
        domains' means counts K times, and all are divided by its matrix's norm K (1 / n_s + 1 / n_t); columns [A; B]
        have unit length. A class without pseudo-labelled rows is left out. Kernels are not offered.
    """

    family = "subspace"
    paper = "zhang2017jgsa"
    space = {"components": [10, 20, 30, 60], "weight": [0.1, 1.0, 10.0], "beta": [0.01, 0.1, 1.0]}
    directions: Tensor

    def __init__(
        self,
        components: int = 30,
        weight: float = 1.0,
        mu: float = 1.0,
        beta: float = 0.1,
        iterations: int = 10,
        classifier: str = "nearest",
        C: float = 1.0,
    ) -> None:
        super().__init__()
        self.components = components
        self.weight = weight
        self.mu = mu
        self.beta = beta
        self.iterations = iterations
        self.classifier = classifier
        self.C = C

    def check(self) -> None:
        super().check()
        require_whole(self, "components", "iterations")
        require_positive(self, "weight", "mu", "beta", "C")

    def project(self, z: Tensor) -> Tensor:
        return normalize(z) @ self.directions

    def label(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        state = fit_classifier(self.classifier, z_s, y_s, self.C, self.network.num_classes)
        return score_classifier(self.classifier, z_t, state, self.network.num_classes).argmax(1)

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        z_s, z_t = normalize(z_s), normalize(z_t)
        V = torch.linalg.qr(torch.cat([z_s, z_t]).T).Q
        z_s, z_t, y_t = z_s @ V, z_t @ V, self.label(z_s, y_s, z_t)
        for _ in range(int(self.iterations)):
            E = mean_contrasts(y_s, len(z_t), y_t, marginal=len(y_s.unique()))
            E = E / E[:, 0].norm()
            A, B = couple_projections(z_s, y_s, z_t, E, self.weight, self.mu, self.beta, int(self.components))
            before, y_t = y_t, self.label(z_s @ A, y_s, z_t @ B)
            if torch.equal(y_t, before):
                break
        self.register_buffer("directions", V @ B)
        return z_s @ A
