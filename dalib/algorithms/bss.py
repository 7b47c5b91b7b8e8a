"""Fine-tune while the weakest directions of a batch's features are shrunk."""

from __future__ import annotations

from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.shrinkage import smallest_squared_singular_values


class BSS(Algorithm):
    """Batch spectral shrinkage: against negative transfer of what the pretrained features hold by accident.

    loss = CE(logits_s, y_s) + weight * sum_{i=1..k} sigma_{-i}(Z_s)²
    sigma_{-i} = i-th smallest singular value of the batch's features (B, d)

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Chen et al. Catastrophic Forgetting Meets Negative Transfer: Batch Spectral Shrinkage for Safe Transfer
        Learning. NeurIPS 2019. Departure: sigma² are eigenvalues of the Gram matrix, not of a singular value
        decomposition. Features of lower rank than min(B, d) (B > d, columns that are 0) have nothing left to shrink.
    """

    family = "fine-tuning"
    paper = "chen2019bss"
    uses_target = False

    weight: float = positive(
        default=1e-3,
        zero=True,
        search=(1e-4, 1e-3, 1e-2),
        doc="trade-off of the shrinkage (the paper's eta); the term grows with the square of z",
    )
    k: int = whole(default=1, search=(1, 2, 4), doc="how many singular values; all of them if there are fewer")

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {
            "shrinkage": self.weight * smallest_squared_singular_values(source.z, self.k),
        }
