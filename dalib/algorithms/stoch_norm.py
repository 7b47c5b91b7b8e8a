"""Fine-tune with batch norms that mix the batch's statistics with those of pretraining, at random."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.errors import DalibError
from dalib.core.types import Source, Target
from dalib.nn.stoch_norm import make_stochastic


class StochNorm(Algorithm):
    """Stochastic normalisation: every batch norm of the backbone has two branches in training.

    loss = CE(logits_s, y_s);  BN(x)_c = s_c BN(x; batch)_c + (1 - s_c) BN(x; moving)_c,  s_c ~ Bernoulli(p)

    Args
        p: probability of the batch's statistics, per channel and pass, in [0, 1]; 1 = ordinary batch norms
    Shapes
        logits (B, K), y (B,); a backbone without batch norms, or features: only CE is left
    Reference
        Kou et al. Stochastic Normalization. NeurIPS 2020. p: the paper's.
        Departure: the bottleneck's batch norm, which has no statistics of pretraining, is an ordinary one. Batch norms
        that the recipe freezes (`batch_norm = "eval"`, `backbone_rate = 0`) stay as they are.
    """

    family = "fine-tuning"
    paper = "kou2020stochnorm"
    space = {"p": [0.25, 0.5, 0.75]}
    uses_target = False

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def check(self) -> None:
        require_positive(self, "p", zero=True)
        if self.p > 1:
            raise DalibError(f"stoch_norm.p = {self.p!r} is out of range; give a number in [0, 1]")

    def build(self, dim: int, num_classes: int) -> None:
        make_stochastic(self.network.backbone, self.p)

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"classification": cross_entropy(source.logits, source.y)}
