"""Let a class for the unknown and the features play against each other about where its boundary lies."""

from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.adversarial import reverse_gradient


class OSBP(Algorithm):
    """Open set domain adaptation by backpropagation.

    loss = CE(C(z_s), y_s) - weight * mean(t * log p + (1 - t) * log(1 - p))
    p = softmax(C(R(z_t)))_{K+1}, C a head of K + 1 outputs, R reverses gradients; prediction: C(z)

    Shapes
        z (B, d), y (B,); logits predicted (B, K + 1), the last for unknown classes
    Reference
        Saito et al. Open Set Domain Adaptation by Backpropagation. ECCV 2018. arXiv:1804.10427.
        Departures: C is one linear layer on the network's bottleneck; both domains in one forward pass unless the
        recipe says otherwise; `weight` 0.3 (there: 1) at Transfer-Learning-Library's learning rate of 0.01: 13 points
        of the h-score better on open-set tasks of the development pool than 1 at the recipe's 0.03 (docs/recipe.md).
        The network's own head of K outputs stays untrained and unused.
    """

    family = "adversarial"
    objectives = ("classification",)
    setting = "open-set"
    paper = "saito2018osbp"
    rejects = True
    version = 2
    recipe = {"lr": 0.01}
    alone = "its head has an output for unknown rows, which the others do not know"
    weight: float = positive(default=0.3, zero=True, search=(0.1, 0.3, 1.0), doc="trade-off of the boundary")
    boundary: float = positive(
        default=0.5, below=1, search=(0.3, 0.5, 0.7), doc="the paper's t: P(unknown) that C wants for every target row"
    )

    def build(self, dim: int, outputs: int) -> None:
        self.classifier = nn.Linear(dim, outputs + 1)
        nn.init.normal_(self.classifier.weight, 0.0, 0.01)
        nn.init.zeros_(self.classifier.bias)

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        g = self.classifier(reverse_gradient(target.z))
        log_unknown = g[:, -1] - g.logsumexp(1)
        log_known = g[:, :-1].logsumexp(1) - g.logsumexp(1)
        t = self.boundary
        return {"boundary": -self.weight * (t * log_unknown + (1 - t) * log_known).mean()}

    def answer(self, z: Tensor, prediction: Tensor) -> Tensor:
        return self.classifier(z)
