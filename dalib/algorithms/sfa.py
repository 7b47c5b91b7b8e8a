"""Find clusters of the columns that differ between domains by the columns they occur with, and add them."""

import warnings

import torch
from torch import Tensor

from dalib.core.feature_algorithm import SOLVED, FeatureAlgorithm
from dalib.core.hyper import positive, state, whole
from dalib.core.needs import Needs, Size, need, need_classifier
from dalib.nn.subspaces import align_spectrally


class SFA(FeatureAlgorithm):
    """Spectral feature alignment, for counts of words and other columns that are 0 where something does not occur.

    Pivots: the columns that occur (z > 0) most often in both domains, by the smaller of the two counts; M_ij = rows
    that hold column i, which is none, and pivot j
    z' = (z, weight * z_rest U),  U = the rest's part of the largest eigenvectors of D^(-1/2) [[0, M], [Mᵀ, 0]] D^(-1/2)

    Shapes
        z (n, d) >= 0, y (n,); z' (n, d + clusters)
    Reference
        Pan et al. Cross-Domain Sentiment Classification via Spectral Feature Alignment. WWW 2010.
        doi:10.1145/1772690.1772767. Of the paper's ways to choose pivots the one by frequency in both domains.
    """

    family = "feature map"
    objectives = SOLVED
    paper = "pan2010sfa"
    pivots: int = whole(default=500, search=(100, 500), doc="columns that tie the domains, at most half of all")
    clusters: int = whole(default=100, search=(30, 100), doc="eigenvectors, cut to those of eigenvalue > 0")
    weight: float = positive(default=1.0, search=(0.3, 1.0, 3.0), doc="of the new columns beside the old")
    C: float = positive(
        default=1.0, search=(0.1, 1.0, 10.0), doc="inverse regularisation of `logistic` and `svm`", last=True
    )
    rest: Tensor = state()
    directions: Tensor = state()

    def needs(self, size: Size) -> Needs:
        p = min(self.pivots, size.d // 2)
        more = need_classifier(size, self.classifier, size.d + min(self.clusters, p))
        return more + need(size, "2 n d + 4 d p", "n d p + 11 d p²", "2 n d", p=p)

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        if z_s.shape[1] > 1 and min(float(z_s.min()), float(z_t.min())) < 0:
            warnings.warn(
                "sfa counts where a column is above 0, and there are values below: it is for counts and frequencies",
                UserWarning,
                stacklevel=2,
            )
        rest, directions = align_spectrally(z_s, z_t, self.pivots, self.clusters)
        if not directions.shape[1]:
            warnings.warn(
                "sfa without columns that occur together is linear_probe: it adds none; it is for counts of words",
                RuntimeWarning,
                stacklevel=2,
            )
        self.register_buffer("rest", rest)
        self.register_buffer("directions", directions)
        return self.project(z_s)

    def project(self, z: Tensor) -> Tensor:
        return torch.cat([z, self.weight * z[:, self.rest] @ self.directions], 1)

    def carry(self, z: Tensor, z_s: Tensor, z_t: Tensor, moved: Tensor) -> Tensor:
        return self.project(z)
