"""Fine-tune while the weakest directions of a batch's features are shrunk."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive, require_whole
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target
from dalib.nn.shrinkage import smallest_squared_singular_values


class BSS(Algorithm):
    """Batch spectral shrinkage: against negative transfer of what the pretrained features hold by accident.

    loss = CE(logits_s, y_s) + weight * sum_{i=1..k} sigma_{-i}(Z_s)²
    sigma_{-i} = i-th smallest singular value of the batch's features (B, d)

    Args
        weight: trade-off of the shrinkage (the paper's eta), >= 0; the term grows with the square of z
        k: how many singular values, >= 1; all of them if there are fewer
    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Chen et al. Catastrophic Forgetting Meets Negative Transfer: Batch Spectral Shrinkage for Safe Transfer
        Learning. NeurIPS 2019. Departure: sigma² are eigenvalues of the Gram matrix, not of a singular value
        decomposition. Features of lower rank than min(B, d) (B > d, columns that are 0) have nothing left to shrink.
    """

    family = "fine-tuning"
    paper = "chen2019bss"
    space = {"weight": [1e-4, 1e-3, 1e-2], "k": [1, 2, 4]}
    uses_target = False

    def __init__(self, weight: float = 1e-3, k: int = 1) -> None:
        super().__init__()
        self.weight = weight
        self.k = k

    def check(self) -> None:
        require_positive(self, "weight", zero=True)
        require_whole(self, "k")

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {
            "classification": cross_entropy(source.logits, source.y),
            "shrinkage": self.weight * smallest_squared_singular_values(source.z, int(self.k)),
        }
