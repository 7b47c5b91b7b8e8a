"""What the subspace methods share: rows are centred and multiplied by a matrix that the fit leaves in a buffer."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.hyper import positive, state, whole
from dalib.core.needs import Needs, Size, need
from dalib.nn.subspaces import count_axes

VARIANCE = 0.95
"""Part of all rows' variance that `auto` keeps."""


class Projection(FeatureAlgorithm):
    """Target-like rows move by z' = (z - centre) directions; `align` of a subclass calls `keep`."""

    components: int | str = whole(
        default="auto",
        words=("auto",),
        search=("auto", 10, 20, 40, 80),
        doc="dimensions of the subspace, cut to the data's; `auto`: the principal axes of both domains' rows that hold "
        "95 % of their variance",
    )
    C: float = positive(
        default=1.0, search=(0.1, 1.0, 10.0), doc="inverse regularisation of `logistic` and `svm`", last=True
    )
    centre: Tensor = state()
    directions: Tensor = state()

    def needs(self, size: Size) -> Needs:
        """Singular values of the rows of both domains, and how many axes hold their variance."""
        r = min(size.d, size.n_s + size.n_t)
        return super().needs(size) + need(size, "4 n d + 4 r²", "12 n r d + 24 r³", r=r)

    def width(self, z_s: Tensor, z_t: Tensor) -> int:
        """The number of components for these rows."""
        return count_axes(torch.cat([z_s, z_t]), VARIANCE) if self.components == "auto" else int(self.components)

    def keep(self, centre: Tensor, directions: Tensor) -> None:
        """centre (d,), directions (d, d')."""
        self.register_buffer("centre", centre)
        self.register_buffer("directions", directions.contiguous())

    def carry(self, z: Tensor, z_s: Tensor, z_t: Tensor, moved: Tensor) -> Tensor:
        return self.project(z)

    def project(self, z: Tensor) -> Tensor:
        return (z - self.centre) @ self.directions
