"""What the subspace methods share: rows are centred and multiplied by a matrix that the fit leaves in a buffer."""

from __future__ import annotations

from torch import Tensor

from dalib.core.algorithm import FeatureAlgorithm
from dalib.core.hyper import positive, state, whole


class Projection(FeatureAlgorithm):
    """Target-like rows move by z' = (z - centre) directions; `align` of a subclass calls `keep`."""

    components: int = whole(default=20, search=(10, 20, 40, 80), doc="dimensions of the subspace, cut to the data's")
    C: float = positive(
        default=1.0, search=(0.1, 1.0, 10.0), doc="inverse regularisation of `logistic` and `svm`", last=True
    )
    centre: Tensor = state()
    directions: Tensor = state()

    def keep(self, centre: Tensor, directions: Tensor) -> None:
        """centre (d,), directions (d, d')."""
        self.register_buffer("centre", centre)
        self.register_buffer("directions", directions.contiguous())

    def carry(self, z: Tensor, z_s: Tensor, z_t: Tensor, moved: Tensor) -> Tensor:
        return self.project(z)

    def project(self, z: Tensor) -> Tensor:
        return (z - self.centre) @ self.directions
