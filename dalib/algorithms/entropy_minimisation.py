"""Predict the target with certainty, all classes about equally often."""

from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.entropy import information_maximisation


class EntropyMinimisation(Algorithm):
    """Entropy minimisation on the target, kept from collapsing by diversity (information maximisation).

    loss = CE(logits_s, y_s) + weight * (mean_i H(p_i) - diversity * H(mean_i p_i)),  p = softmax(logits_t)

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Grandvalet & Bengio. Semi-supervised Learning by Entropy Minimization. NeurIPS 2004; the diversity term: Liang
        et al. ICML 2020. arXiv:2002.08546. Departure: its marginal is the batch's, so with fewer rows than classes it
        can only be approximate.
    """

    family = "self-training"
    objectives = ("classification",)
    paper = "grandvalet2004entropy"
    weight: float = positive(default=0.1, zero=True, search=(0.01, 0.1, 1.0), doc="trade-off of both entropies")
    diversity: float = positive(default=1.0, zero=True, search=(0.0, 1.0), doc="weight of the batch's marginal entropy")

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"information": self.weight * information_maximisation(target.logits, self.diversity)}
