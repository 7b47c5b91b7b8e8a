"""Match the domains' means and let go of source rows that do not help, then fit a classifier."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from dalib.algorithms._ranges import require_positive, require_whole
from dalib.core.algorithm import FeatureAlgorithm
from dalib.nn.components import match_jointly, mean_contrasts


class TJM(FeatureAlgorithm):
    """Transfer joint matching: TCA whose regulariser is sparse over source rows.

    A = argmin tr Aᵀ K M K A + reg * (sum of ||a_i|| over source rows + sum of ||a_i||² over target rows),  z' = K A
    K = linear kernel of unit rows,  M ∝ e eᵀ, K e = mean source column - mean target column

    Args
        components: dimensions of z', >= 1; at most the features' width
        reg: weight of the row norms, > 0
        iterations: reweighted solutions, >= 1; the first is TCA with a linear kernel
        classifier: `nearest`, as in the paper, or `logistic`
        C: inverse regularisation of the logistic classifier, > 0; on rows of unit length, most of them alike, 1 fits
            too little on small domains and 100 does well
    Shapes
        z (n, d), y (n,); z' (n, components), scaled to unit length
    Reference
        Long et al. Transfer Joint Matching for Unsupervised Domain Adaptation. CVPR 2014. doi:10.1109/CVPR.2014.183.
        Departures: linear kernel only; components have the scale of `transfer_components`; rows have unit length before
        and after.
    """

    family = "subspace"
    paper = "long2014tjm"
    space = {"reg": [0.1, 1.0, 10.0], "components": [10, 20, 40, 80]}
    directions: Tensor

    def __init__(
        self,
        components: int = 20,
        reg: float = 1.0,
        iterations: int = 10,
        classifier: str = "nearest",
        C: float = 1.0,
    ) -> None:
        super().__init__()
        self.components = components
        self.reg = reg
        self.iterations = iterations
        self.classifier = classifier
        self.C = C

    def check(self) -> None:
        super().check()
        require_whole(self, "components", "iterations")
        require_positive(self, "reg", "C")

    def project(self, z: Tensor) -> Tensor:
        return normalize(normalize(z) @ self.directions)

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        z, E = normalize(torch.cat([z_s, z_t])), mean_contrasts(y_s, len(z_t))
        directions = match_jointly(z, len(z_s), E, self.reg, int(self.components), int(self.iterations))
        self.register_buffer("directions", directions)
        return self.project(z_s)
