"""Two heads disagree about the target; the features learn to make them agree."""

from dataclasses import replace
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dalib.core.algorithm import Algorithm, Minimise, Terms
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target

Rows = TypeVar("Rows", Source, Target)


class MCD(Algorithm):
    """Maximum classifier discrepancy: a game of three phases per step; features G, heads F1 and F2.

    A  G, F1, F2:  loss = CE(F1, y_s) + CE(F2, y_s) + balance * E
    B  F1, F2:     loss = the same - weight * mean |p1_t - p2_t|
    C  G, `inner` times:  loss = weight * mean |p1_t - p2_t|
    means over rows and classes; E = -mean_c log(mean_i p1_ic + 1e-6), and of p2; prediction: mean of both heads' logits

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Saito et al. Maximum Classifier Discrepancy for Unsupervised Domain Adaptation. CVPR 2018. arXiv:1712.02560.
        `balance`: the authors' VisDA script. Departures: `weight` 10, Transfer-Learning-Library's on Office-31, and one
        step of phase C, on features at a learning rate of 0.1: 4 points better on the development pool than the
        script's 1 and 4 (docs/recipe.md); linear heads; the first pass of phase C is that of phase B, whose features
        are the same, so batch norm's statistics move 1 + inner times a step.
    """

    family = "adversarial"
    objectives = ("classification",)
    paper = "saito2018mcd"
    version = 2
    recipe_on_features = {"lr": 0.1}
    weight: float = positive(default=10.0, zero=True, search=(1.0, 10.0), doc="trade-off of the discrepancy")
    inner: int = whole(default=1, search=(1, 2, 4), doc="steps of phase C")
    balance: float = positive(
        default=0.01, zero=True, doc="weight of E, which keeps predictions spread over the classes"
    )

    def build(self, dim: int, outputs: int) -> None:
        self.second = nn.Linear(dim, outputs)

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """Phase A's terms and the discrepancy; `step` plays the game."""
        return {**self._spread(source, target), "discrepancy": self._discrepancy(target)}

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        heads, features = [self.network.head, self.second], [self.network.backbone, self.network.bottleneck]
        minimise(self._phase_a(source, target))
        source, target = minimise.forward(source, target)
        fixed = self._classify(source, source.z.detach()), self._classify(target, target.z.detach())
        minimise({**self._phase_a(*fixed), "apart": -self._discrepancy(fixed[1])}, only=heads)
        for i in range(self.inner):
            if i:
                source, target = minimise.forward(source, target)
            minimise({"together": self._discrepancy(self._classify(target, target.z))}, only=features)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, logits = self.network(x)
        return z, (logits + self.second(z)) / 2

    def _classify(self, rows: Rows, z: Tensor) -> Rows:
        return replace(rows, z=z, logits=self.network.head(z))

    def _phase_a(self, source: Source, target: Target) -> Terms:
        return {self.objective.name: self.supervise(source), **self._spread(source, target)}

    def _spread(self, source: Source, target: Target) -> Terms:
        spread = [(logits.softmax(1).mean(0) + 1e-6).log().mean() for logits in (target.logits, self.second(target.z))]
        return {
            "classification_second": cross_entropy(self.second(source.z), source.y),
            "balance": -self.balance * (spread[0] + spread[1]),
        }

    def _discrepancy(self, target: Target) -> Tensor:
        return self.weight * (target.logits.softmax(1) - self.second(target.z).softmax(1)).abs().mean()
