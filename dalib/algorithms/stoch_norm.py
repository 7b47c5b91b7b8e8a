"""Fine-tune with batch norms that mix the batch's statistics with those of pretraining, at random."""

from dalib.core.algorithm import Algorithm
from dalib.core.hyper import positive
from dalib.nn.stoch_norm import make_stochastic


class StochNorm(Algorithm):
    """Stochastic normalisation: every batch norm of the backbone has two branches in training.

    loss = CE(logits_s, y_s);  BN(x)_c = s_c BN(x; batch)_c + (1 - s_c) BN(x; moving)_c,  s_c ~ Bernoulli(p)

    Shapes
        logits (B, K), y (B,); a backbone without batch norms, or features: only CE is left
    Reference
        Kou et al. Stochastic Normalization. NeurIPS 2020. p: the paper's.
        Departure: the bottleneck's batch norm, which has no statistics of pretraining, is an ordinary one. Batch norms
        that the recipe freezes (`batch_norm = "eval"`, `backbone_rate = 0`) stay as they are.
    """

    family = "fine-tuning"
    paper = "kou2020stochnorm"
    lives_on = {"a backbone that trains": "source_only"}
    undivided = "its norms draw channels and look at the batch in a way of their own"
    uses_target = False
    p: float = positive(
        default=0.5,
        zero=True,
        most=1,
        search=(0.25, 0.5, 0.75),
        doc="probability of the batch's statistics, per channel and pass",
    )

    def build(self, dim: int, outputs: int) -> None:
        make_stochastic(self.network.backbone, self.p)
