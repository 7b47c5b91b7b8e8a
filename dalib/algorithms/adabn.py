"""Train on the source, then give every batch norm the target's statistics."""

from dalib.algorithms._target_statistics import TargetStatistics
from dalib.core.algorithm import TrainerLike
from dalib.core.errors import DalibError
from dalib.core.types import Domain


class AdaBN(TargetStatistics):
    """Adaptive batch normalisation: each unit is normalised by the domain that it is applied to.

    loss = CE(logits_s, y_s);  prediction: y = gamma (x - mean_t) / sqrt(var_t + eps) + beta in every batch norm

    Shapes
        logits (B, K), y (B,)
    Raises
        DalibError: the network has no batch norm
    Reference
        Li et al. Revisiting Batch Normalization For Practical Domain Adaptation. ICLR workshop 2017. arXiv:1603.04779.
        Departure: mean_t and var_t are averages over batches of the whole unlabelled target, each normalised by itself
        in the layers below, not a running estimate.
    """

    family = "normalisation"
    setting = "test-time"
    source_free = True
    paper = "li2017adabn"
    uses_target = False

    def go_on(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        self.begin_epoch(trainer, target)

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        if not self.norms():
            raise DalibError("adabn needs batch norms, and the network has none; set bottleneck > 0")
