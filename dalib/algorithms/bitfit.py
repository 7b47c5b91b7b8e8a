"""Fine-tune the backbone's biases and none of its weights."""

from torch import nn

from dalib.core.algorithm import Algorithm
from dalib.core.hyper import positive


class Bitfit(Algorithm):
    """Bias-term fine-tuning: every bias of the backbone, those of its norms included, and the new layers.

    loss = CE(logits_s, y_s);  rate of the biases = lr * backbone_rate * rate, of all other backbone parameters = 0

    Batch norms of the backbone keep their pretrained statistics and scales.

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
    lives_on = {"a backbone that trains": "source_only"}
    uses_target = False
    rate: float = positive(default=10.0, search=(1.0, 3.0, 10.0, 30.0), doc="factor on the recipe's backbone_rate")

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        backbone = self.network.backbone
        biases = nn.ParameterList(p for name, p in backbone.named_parameters() if name.endswith("bias"))
        return [(self, 1.0), (backbone, 0.0), (biases, backbone_rate * self.rate)]
