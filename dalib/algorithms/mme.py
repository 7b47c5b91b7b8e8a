"""Class weights move towards the unlabelled target, its features towards the class weights: minimax entropy."""

from torch import Tensor, nn
from torch.nn.functional import normalize

from dalib.algorithms._labelled_target import balance
from dalib.core.algorithm import Algorithm, Terms, TrainerLike
from dalib.core.hyper import positive
from dalib.core.types import Domain, Source, Target
from dalib.nn.adversarial import reverse_gradient
from dalib.nn.entropy import prediction_entropy


class MME(Algorithm):
    """Semi-supervised adaptation: labelled source and target rows, entropy of unlabelled target rows as a game.

    loss = CE(g_s, y_s) - weight * mean_i H(softmax(g(R(z_t))_i)),  g(z) = W z / ||z|| / temperature
    W maximises H; R reverses gradients, so that the features minimise it

    Labelled target rows are repeated until they are half of the labelled ones; under `uda` there are none.

    Shapes
        z (B, d), y (B,); W (K, d)
    Reference
        Saito et al. Semi-supervised Domain Adaptation via Minimax Entropy. ICCV 2019. arXiv:1904.06487, with the
        authors' code and defaults. Departures: one update of both terms (there: two, one for each); halves on average
        over batches, not in each; the bottleneck is the recipe's.
    """

    family = "few labels"
    objectives = ("classification",)
    paper = "saito2019mme"
    lives_on = {"labelled target rows": "a game of entropies beside source_only"}
    weight: float = positive(default=0.1, zero=True, search=(0.03, 0.1, 0.3), doc="trade-off of the entropy")
    temperature: float = positive(default=0.05, search=(0.05, 0.1), doc="of the cosine classifier")

    def build(self, dim: int, outputs: int) -> None:
        self.cosine = nn.Linear(dim, outputs, bias=False)
        nn.init.xavier_normal_(self.cosine.weight)

    def answer(self, z: Tensor, prediction: Tensor) -> Tensor:
        return self.cosine(normalize(z, dim=1)) / self.temperature

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        spread = prediction_entropy(self.answer(reverse_gradient(target.z), target.logits)).mean()
        return {"entropy": -self.weight * spread}

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        trainer.descend(self, balance(self.network, source), target)
