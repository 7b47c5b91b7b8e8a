"""What the subspace methods share: rows are centred and multiplied by a matrix that the fit leaves in a buffer."""

from __future__ import annotations

from torch import Tensor

from dalib.algorithms._ranges import require_positive, require_whole
from dalib.core.algorithm import FeatureAlgorithm


class Projection(FeatureAlgorithm):
    """Target-like rows move by z' = (z - centre) directions; `align` of a subclass calls `keep`.

    Args
        components: dimensions of the subspace, >= 1; at most the features' width and the smaller domain's rows are used
        classifier: `logistic`, `svm` or `nearest`
        C: inverse regularisation of the logistic classifier, > 0
    """

    centre: Tensor
    directions: Tensor

    def __init__(self, components: int = 20, classifier: str = "logistic", C: float = 1.0) -> None:
        super().__init__()
        self.components = components
        self.classifier = classifier
        self.C = C

    def check(self) -> None:
        super().check()
        require_whole(self, "components")
        require_positive(self, "C")

    def keep(self, centre: Tensor, directions: Tensor) -> None:
        """centre (d,), directions (d, d')."""
        self.register_buffer("centre", centre)
        self.register_buffer("directions", directions.contiguous())

    def project(self, z: Tensor) -> Tensor:
        return (z - self.centre) @ self.directions
