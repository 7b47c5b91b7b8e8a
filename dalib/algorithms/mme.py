"""Class weights move towards the unlabelled target, its features towards the class weights: minimax entropy."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from dalib.algorithms._few import balance
from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Algorithm, Terms, TrainerLike
from dalib.core.types import Domain, Source, Target
from dalib.nn.adversarial import reverse_gradient
from dalib.nn.entropy import prediction_entropy


class MME(Algorithm):
    """Semi-supervised adaptation: labelled source and target rows, entropy of unlabelled target rows as a game.

    loss = CE(g_s, y_s) - weight * mean_i H(softmax(g(R(z_t))_i)),  g(z) = W z / ||z|| / temperature
    W maximises H; R reverses gradients, so that the features minimise it

    Labelled target rows are repeated until they are half of the labelled ones; under `uda` there are none.

    Args
        weight: trade-off of the entropy, dimensionless, >= 0
        temperature: of the cosine classifier, > 0
    Shapes
        z (B, d), y (B,); W (K, d)
    Reference
        Saito et al. Semi-supervised Domain Adaptation via Minimax Entropy. ICCV 2019. arXiv:1904.06487, with the
        authors' code and defaults. Departures: one update of both terms (there: two, one for each); halves on average
        over batches, not in each; the bottleneck is the recipe's.
    """

    family = "few labels"
    paper = "saito2019mme"
    space = {"weight": [0.03, 0.1, 0.3], "temperature": [0.05, 0.1]}
    combines = False

    def __init__(self, weight: float = 0.1, temperature: float = 0.05) -> None:
        super().__init__()
        self.weight = weight
        self.temperature = temperature

    def check(self) -> None:
        require_positive(self, "weight", zero=True)
        require_positive(self, "temperature")

    def build(self, dim: int, num_classes: int) -> None:
        self.cosine = nn.Linear(dim, num_classes, bias=False)
        nn.init.xavier_normal_(self.cosine.weight)

    def classify(self, z: Tensor) -> Tensor:
        """z (B, d) -> logits (B, K)."""
        return self.cosine(normalize(z, dim=1)) / self.temperature

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        spread = prediction_entropy(self.classify(reverse_gradient(target.z))).mean()
        return {"classification": cross_entropy(self.classify(source.z), source.y), "entropy": -self.weight * spread}

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        trainer.descend(self, balance(self.network, source), target)

    def predict(self, x: Any) -> tuple[Tensor, Tensor]:
        z, _ = self.network(x)
        return z, self.classify(z)
