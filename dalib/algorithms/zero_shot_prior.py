"""A term for any algorithm: the target's predictions shall be what zero-shot says by class names."""

import torch
from torch import Tensor

from dalib.algorithms._class_names import TargetPrior
from dalib.core.algorithm import Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.label_relation import soft_cross_entropy


class ZeroShotPrior(TargetPrior):
    """Distillation of a zero-shot prior: `DANN() + ZeroShotPrior()`, or alone beside the source's labels.

    loss = CE(logits_s, y_s) + weight * mean_i -sum_k q_ik log softmax(logits_t)_ik
    q: ConSE's probabilities of the target's rows (`zero_shot`), handed on among neighbours (`propagate_labels`)

    Shapes
        logits (B, K), y (B,); q (n, K) of every target row
    Raises
        DalibError: as `zero_shot`
    Reference
        Norouzi et al. Zero-Shot Learning by Convex Combination of Semantic Embeddings. ICLR 2014. arXiv:1312.5650, for
        q; the term is ours. Departure: q is computed once, with the backbone as it came.
    """

    family = "zero-shot"
    paper = "norouzi2014conse"
    weight: float = positive(default=0.3, zero=True, search=(0.1, 0.3, 1.0), doc="trade-off of the prior")

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """Before the first pass over the target, which makes the prior, all classes are alike."""
        q = torch.full_like(target.logits, 1 / target.logits.shape[1])
        q = q if self.prior is None else self.prior[target.index]
        return {"zero_shot_prior": self.weight * soft_cross_entropy(target.logits, q)}
