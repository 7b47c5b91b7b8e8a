"""Train on source rows and a few labelled target rows together, both counting alike."""

from dalib.algorithms._labelled_target import balance
from dalib.algorithms.source_only import SourceOnly
from dalib.core.algorithm import TrainerLike
from dalib.core.hyper import flag
from dalib.core.types import Domain


class Joint(SourceOnly):
    """Cross-entropy on all labelled rows, source and target; unlabelled target rows are not used.

    loss = CE(logits, y),  (x, y) from the labelled source or the labelled target rows, each half of the time

    Where the protocol labels no target row (`uda`), or no other (`supervised`), it is `source_only`.

    Shapes
        logits (B, K), y (B,)
    Reference
        The baseline `S+T` of Saito et al. Semi-supervised Domain Adaptation via Minimax Entropy. ICCV 2019.
        arXiv:1904.06487. Departure: halves on average over batches, not in each.
    """

    family = "few labels"
    paper = "saito2019mme"
    lives_on = {"labelled target rows": "source_only", "labelled source rows": "source_only"}
    balanced: bool = flag(
        default=True,
        search=(False, True),
        doc="target rows are repeated until they are half of all, else every row counts alike",
    )

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        trainer.descend(self, balance(self.network, source) if self.balanced else source, target)
