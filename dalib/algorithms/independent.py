"""Train on the source first, then fine-tune on the labelled target rows alone."""

from torch import Tensor

from dalib.algorithms._labelled_target import TargetLast
from dalib.core.algorithm import Terms
from dalib.core.hyper import positive, state
from dalib.nn.weights import flatten_weights


class Independent(TargetLast):
    """Two fits one after the other; the second may be held near the first.

    1  source rows:           loss = CE(logits, y)
    2  labelled target rows:  loss = CE(logits, y) + pull / 2 ||w - w_1||²,  w_1 = the network's weights after 1

    Where the protocol labels no target row (`uda`), or no other (`supervised`), both are on all labelled rows.

    Shapes
        logits (B, K), y (B,)
    Reference
        Li et al. Explicit Inductive Bias for Transfer Learning with Convolutional Networks. ICML 2018.
        arXiv:1802.01483, for the pull (L2-SP). Departures: the centre is the source's solution, head included, since
        both domains have the same classes; pull = 0 is plain fine-tuning.
    """

    family = "few labels"
    paper = "li2018l2sp"
    lives_on = {
        "labelled target rows": "source_only in two descents",
        "labelled source rows": "source_only in two descents",
    }
    pull: float = positive(
        default=0.0, zero=True, search=(0.0, 0.01, 0.1, 1.0), doc="weight of the distance from the source's solution"
    )
    pretrain: float = positive(
        default=0.5, below=1, search=(0.3, 0.5, 0.8), doc="part of the steps spent on the source"
    )
    start: Tensor | None = state()

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("start", None)

    def begin(self) -> None:
        if self.pull:
            self.start = flatten_weights(self.network.parameters()).detach()

    def penalty(self) -> Terms:
        if self.start is None:
            return {}
        moved = flatten_weights(self.network.parameters()) - self.start
        return {"pull": self.pull / 2 * moved.square().sum()}
