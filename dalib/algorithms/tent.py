"""Adapt a trained model to the target by its batch norms alone, without the source."""

from torch import Tensor, nn

from dalib.algorithms._phases import SourceFirst
from dalib.algorithms._target_statistics import TargetStatistics
from dalib.core.algorithm import Terms
from dalib.core.errors import DalibError
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.entropy import prediction_entropy


class TENT(SourceFirst, TargetStatistics):
    """Test-time entropy minimisation: phase one on the source, phase two on the unlabelled target only.

    1  loss = CE(logits_s, y_s)
    2  loss = mean_i H(p_i), p = softmax(logits_t), over gamma and beta of the batch norms; all else is frozen

    Statistics are those of the target's batch in training and of the whole target in prediction.

    Shapes
        logits (B, K), y (B,)
    Raises
        DalibError: the network has no batch norm that may learn
    Reference
        Wang et al. Tent: Fully Test-Time Adaptation by Entropy Minimization. ICLR 2021. arXiv:2006.10726.
        Departures: many passes over an unlabelled target and then prediction, not one pass that predicts as it goes;
        the recipe's optimiser, whose rate for the backbone times 0.1 is 3e-4 by default (the paper's on ImageNet:
        2.5e-4), with its weight decay; dropout is off in phase two. Under batch_norm = `eval` the backbone's batches
        are normalised by the source's statistics; a backbone_rate of 0 freezes its batch norms too.
    """

    family = "source-free"
    objectives = ("classification",)
    setting = "test-time"
    source_free = True
    paper = "wang2021tent"
    rate: float = positive(default=0.1, search=(0.03, 0.1, 0.3, 1.0), doc="factor on the learning rates in phase two")

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        inner = {*self.network.backbone.modules()}
        norms = [(m, self.rate * (backbone_rate if m in inner else 1.0)) for m in self.norms()]
        if not any(factor for _, factor in norms):
            raise DalibError(
                "tent trains batch norms only, and here none may learn; set bottleneck or backbone_rate > 0"
            )
        return [(self, 0.0), *norms] if self.adapting else super().rates(backbone_rate)

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"entropy": prediction_entropy(target.logits).mean()}
