"""What TCA and the methods that grew from it share: unit rows, a kernel, components, pseudo-labels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from dalib.algorithms._ranges import require_choice, require_positive, require_whole
from dalib.core.algorithm import FeatureAlgorithm
from dalib.nn.classifiers import fit_classifier, score_classifier
from dalib.nn.components import KERNELS, kernel_features, make_landmarks, mean_contrasts, transfer_components


class ComponentMethod(FeatureAlgorithm):
    """z' = Wᵀ phi(z / ||z||) scaled to unit length, W from an eigenproblem; subclasses name their hyper-parameters.

    Args
        kernel: phi(z): `primal` z itself; `linear` and `rbf` the kernel's values at all training rows
        components: dimensions of z', >= 1; at most the features' width
        reg: weight of ||W||² beside the distance of means (on unit rows), > 0
        gamma: `rbf` is exp(-gamma ||a - b||²) on unit rows, whose squared distances lie in [0, 4]; > 0
        classifier: `logistic`, `svm` or `nearest`; it also gives the pseudo-labels, where there are any
        C: inverse regularisation of the logistic classifier, > 0; with kernels, rows of unit length may need 100
    """

    landmarks: Tensor
    directions: Tensor

    def __init__(
        self,
        kernel: str = "primal",
        components: int = 20,
        reg: float = 1.0,
        gamma: float = 1.0,
        classifier: str = "logistic",
        C: float = 1.0,
    ) -> None:
        super().__init__()
        self.kernel = kernel
        self.components = components
        self.reg = reg
        self.gamma = gamma
        self.classifier = classifier
        self.C = C

    def check(self) -> None:
        super().check()
        require_choice(self, "kernel", KERNELS)
        require_whole(self, "components")
        require_positive(self, "reg", "gamma", "C")

    def project(self, z: Tensor) -> Tensor:
        phi = kernel_features(self.kernel, normalize(z), self.landmarks, self.gamma)
        return normalize(phi @ self.directions)

    def solve(
        self, z_s: Tensor, y_s: Tensor, z_t: Tensor, iterations: int, marginal: float, conditional: float
    ) -> Tensor:
        """The moved source rows after `iterations` solutions, each with the pseudo-labels that the last one gives."""
        z = normalize(torch.cat([z_s, z_t]))
        self.register_buffer("landmarks", make_landmarks(self.kernel, z))
        phi = kernel_features(self.kernel, z, self.landmarks, self.gamma)
        y_t = None
        for left in reversed(range(iterations)):
            E = mean_contrasts(y_s, len(z_t), y_t, marginal, conditional)
            self.register_buffer("directions", transfer_components(phi, E, self.reg, int(self.components)))
            moved_s, moved_t = normalize(phi @ self.directions).split([len(z_s), len(z_t)])
            if left:
                K = self.network.num_classes
                state = fit_classifier(self.classifier, moved_s, y_s, self.C, K)
                y_t = score_classifier(self.classifier, moved_t, state, K).argmax(1)
        return moved_s
