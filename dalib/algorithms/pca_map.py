"""Project both domains onto their common principal axes, then fit a classifier: the plainest feature transfer."""

import torch
from torch import Tensor

from dalib.algorithms._projection import Projection
from dalib.core.feature_algorithm import SOLVED
from dalib.nn.subspaces import principal_axes


class PCAMap(Projection):
    """Principal components of source and target rows together; nothing is aligned.

    z' = (z - m) P,  P = leading principal axes of all rows (d, components),  m = their mean

    Shapes
        z (n, d), y (n,)
    Reference
        Jolliffe. Principal Component Analysis. Springer 2002. doi:10.1007/b98835; the row `PCA` of the tables since
        Long et al. ICCV 2013. doi:10.1109/ICCV.2013.274.
    """

    family = "subspace"
    objectives = SOLVED
    paper = "jolliffe2002pca"
    version = 3

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        z = torch.cat([z_s, z_t])
        self.keep(z.mean(0), principal_axes(z, self.width(z_s, z_t)))
        return self.project(z_s)
