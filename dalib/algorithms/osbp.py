"""Let a class for the unknown and the features play against each other about where its boundary lies."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.errors import DalibError
from dalib.core.types import Source, Target
from dalib.nn.adversarial import reverse_gradient


class OSBP(Algorithm):
    """Open set domain adaptation by backpropagation.

    loss = CE(C(z_s), y_s) - weight * mean(t * log p + (1 - t) * log(1 - p))
    p = softmax(C(R(z_t)))_{K+1}, C a head of K + 1 outputs, R reverses gradients; prediction: C(z)

    Args
        weight: trade-off of the boundary, dimensionless, >= 0
        boundary: the paper's t, the probability of `unknown` that C wants for every target row, in (0, 1)
    Shapes
        z (B, d), y (B,); logits predicted (B, K + 1), the last for unknown classes
    Reference
        Saito et al. Open Set Domain Adaptation by Backpropagation. ECCV 2018. arXiv:1804.10427.
        Departures: C is one linear layer on the network's bottleneck; both domains in one forward pass unless the
        recipe says otherwise. The network's own head of K outputs stays untrained and unused.
    """

    family = "adversarial"
    setting = "open-set"
    paper = "saito2018osbp"
    space = {"weight": [0.3, 1.0, 3.0], "boundary": [0.3, 0.5, 0.7]}
    rejects = True
    combines = False

    def __init__(self, weight: float = 1.0, boundary: float = 0.5) -> None:
        super().__init__()
        self.weight = weight
        self.boundary = boundary

    def check(self) -> None:
        require_positive(self, "weight", zero=True)
        require_positive(self, "boundary")
        if self.boundary >= 1:
            raise DalibError(f"osbp.boundary = {self.boundary!r} is out of range; give a number in (0, 1)")

    def build(self, dim: int, num_classes: int) -> None:
        self.classifier = nn.Linear(dim, num_classes + 1)
        nn.init.normal_(self.classifier.weight, 0.0, 0.01)
        nn.init.zeros_(self.classifier.bias)

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        g = self.classifier(reverse_gradient(target.z))
        log_unknown = g[:, -1] - g.logsumexp(1)
        log_known = g[:, :-1].logsumexp(1) - g.logsumexp(1)
        t = self.boundary
        return {
            "classification": cross_entropy(self.classifier(source.z), source.y),
            "boundary": -self.weight * (t * log_unknown + (1 - t) * log_known).mean(),
        }

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, _ = self.network(x)
        return z, self.classifier(z)
