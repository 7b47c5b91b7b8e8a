"""Train on the source first, then fine-tune on the labelled target rows alone."""

from __future__ import annotations

from torch import Tensor

from dalib.algorithms._few import TargetLast
from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Minimise, Terms
from dalib.core.types import Source, Target
from dalib.nn.weights import flatten_weights


class Independent(TargetLast):
    """Two fits one after the other; the second may be held near the first.

    1  source rows:           loss = CE(logits, y)
    2  labelled target rows:  loss = CE(logits, y) + pull / 2 ||w - w_1||²,  w_1 = the network's weights after 1

    Where the protocol labels no target row (`uda`), or no other (`supervised`), both are on all labelled rows.

    Args
        pull: weight of the distance from the source's solution, >= 0
        pretrain: part of the steps spent on the source, in (0, 1)
    Shapes
        logits (B, K), y (B,)
    Reference
        Li et al. Explicit Inductive Bias for Transfer Learning with Convolutional Networks. ICML 2018.
        arXiv:1802.01483, for the pull (L2-SP). Departures: the centre is the source's solution, head included, since
        both domains have the same classes; pull = 0 is plain fine-tuning.
    """

    family = "few labels"
    paper = "li2018l2sp"
    space = {"pull": [0.0, 0.01, 0.1, 1.0], "pretrain": [0.3, 0.5, 0.8]}
    start: Tensor | None

    def __init__(self, pull: float = 0.0, pretrain: float = 0.5) -> None:
        super().__init__()
        self.pull = pull
        self.pretrain = pretrain

    def check(self) -> None:
        super().check()
        require_positive(self, "pull", zero=True)

    def build(self, dim: int, num_classes: int) -> None:
        self.register_buffer("start", None)

    def begin(self) -> None:
        if self.pull:
            self.start = flatten_weights(self.network.parameters()).detach()

    def penalty(self) -> Terms:
        """Phase two's term of the weights, which no row decides."""
        if self.start is None:
            return {}
        moved = flatten_weights(self.network.parameters()) - self.start
        return {"pull": self.pull / 2 * moved.square().sum()}

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        minimise({**self.loss(source, target, progress), **self.penalty()})
