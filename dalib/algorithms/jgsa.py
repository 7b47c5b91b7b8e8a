"""Give each domain a projection of its own, close to the other's, that keeps classes apart and means together."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from dalib.algorithms._unit_rows import warn_of_unit_rows
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.hyper import choice, positive, state, whole
from dalib.core.needs import Needs, Size, need, need_classifier
from dalib.nn.classifiers import CLASSIFIERS, fit_classifier, score_classifier
from dalib.nn.components import mean_contrasts
from dalib.nn.coupled_projections import couple_projections


class JGSA(FeatureAlgorithm):
    """Joint geometrical and statistical alignment, on the features themselves (the paper's primal form).

    max_{A, B} tr(mu Bᵀ S_t B + beta Aᵀ S_b A) / tr(means + weight * ||A - B||² + beta Aᵀ S_w A + mu ||B||²)
    z_s' = z_s A,  z_t' = z_t B,  means = K ||m_s A - m_t B||² + sum_c ||m_s^c A - m_t^c B||², times n_s n_t / (n K)
    S_t = target's scatter, S_b and S_w = between- and within-class scatter of the source; m_t^c from pseudo-labels

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
    uses_labels = True
    components: int = whole(default=30, search=(10, 20, 30, 60), doc="dimensions of z'; at most K + min(d, n_t)")
    weight: float = positive(
        default=1.0, search=(0.1, 1.0, 10.0), doc="of ||A - B||² beside means on unit rows; lambda"
    )
    mu: float = positive(default=1.0, doc="weight of the target's variance and of ||B||²")
    beta: float = positive(default=0.1, search=(0.01, 0.1, 1.0), doc="weight of the source's class scatters")
    iterations: int = whole(default=10, doc="most solutions; it ends sooner when no pseudo-label changes")
    classifier: str = choice(
        default="nearest", options=CLASSIFIERS, last=True, doc="also gives the pseudo-labels (the paper: 1-NN)"
    )
    directions: Tensor = state()
    source_directions: Tensor = state()

    def needs(self, size: Size) -> Needs:
        r, i = min(size.d, size.n_s + size.n_t), self.iterations
        more = need_classifier(size, self.classifier, self.components, i)
        return more + need(size, "4 n d + 30 r²", "6 n r d + 3 i n r² + 30 i r³", r=r, i=i)

    def carry(self, z: Tensor, z_s: Tensor, z_t: Tensor, moved: Tensor) -> Tensor:
        return normalize(z) @ self.source_directions

    def project(self, z: Tensor) -> Tensor:
        return normalize(z) @ self.directions

    def label(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        state = fit_classifier(self.classifier, z_s, y_s, self.C, self.network.outputs, k=self.k)
        return score_classifier(self.classifier, z_t, state, self.network.outputs).argmax(1)

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        warn_of_unit_rows("jgsa", z_s, z_t, y_s, optional=False)
        z_s, z_t = normalize(z_s), normalize(z_t)
        V = torch.linalg.qr(torch.cat([z_s, z_t]).T).Q
        z_s, z_t, y_t = z_s @ V, z_t @ V, self.label(z_s, y_s, z_t)
        for _ in range(self.iterations):
            E = mean_contrasts(y_s, len(z_t), y_t, marginal=len(y_s.unique()))
            E = E / E[:, 0].norm()
            A, B = couple_projections(z_s, y_s, z_t, E, self.weight, self.mu, self.beta, self.components)
            before, y_t = y_t, self.label(z_s @ A, y_s, z_t @ B)
            if torch.equal(y_t, before):
                break
        self.register_buffer("directions", V @ B)
        self.register_buffer("source_directions", V @ A, persistent=False)
        return z_s @ A
