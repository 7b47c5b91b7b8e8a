"""Fine-tune the backbone's biases and none of its weights."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import Source, Target


class Bitfit(Algorithm):
    """Bias-term fine-tuning: every bias of the backbone, those of its norms included, and the new layers.

    loss = CE(logits_s, y_s);  rate of the biases = lr * backbone_rate * rate, of all other backbone parameters = 0

    Batch norms of the backbone keep their pretrained statistics and scales.

    Args
        rate: factor on the recipe's backbone_rate, > 0
    Shapes
        logits (B, K), y (B,)
    Reference
        Ben Zaken et al. BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models.
        ACL 2022. arXiv:2106.10199. As there, biases take larger steps than whole networks would; ten is ours.
        Departures: convolutional networks too, whose biases are often those of batch norms alone; the new layers have
        a rate of their own; the recipe's weight decay acts on biases.
    """

    family = "fine-tuning"
    paper = "zaken2022bitfit"
    space = {"rate": [1.0, 3.0, 10.0, 30.0]}
    uses_target = False

    def __init__(self, rate: float = 10.0) -> None:
        super().__init__()
        self.rate = rate

    def check(self) -> None:
        require_positive(self, "rate")

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        backbone = self.network.backbone
        biases = nn.ParameterList(p for name, p in backbone.named_parameters() if name.endswith("bias"))
        return [(self, 1.0), (backbone, 0.0), (biases, backbone_rate * self.rate)]

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"classification": cross_entropy(source.logits, source.y)}
