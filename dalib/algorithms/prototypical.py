"""Learn features in which a class is its mean, from small tasks; then take the mean of a few labelled target rows."""

from typing import Any

import torch
from torch import Tensor

from dalib.algorithms._labelled_target import split_labelled
from dalib.core.algorithm import Algorithm, TrainerLike
from dalib.core.hyper import positive, state, whole
from dalib.core.types import Domain, Source
from dalib.nn.discrepancy import as_float
from dalib.nn.episodes import class_means, pick_support, prototype_logits, prototypical_loss


class Prototypical(Algorithm):
    """Prototypical networks: episodes drawn from one source domain at a time, prototypes of the target.

    loss = mean over query rows of -log softmax_k(-||z - c_k||²)_y,  c_k = mean z of the support rows of class k
    prediction: softmax_k(-||z - c_k||²) with c_k = (n_k m_k + prior m'_k) / (n_k + prior),
    m_k = mean of the n_k labelled target rows of class k, m'_k = mean of its source rows

    A class without a labelled target row keeps its source prototype: under `uda` that is every class. Under
    `supervised` there are target rows only, and episodes are drawn from them.

    Shapes
        z (B, d), y (B,); prototypes (K, d)
    Reference
        Snell, Swersky & Zemel. Prototypical Networks for Few-shot Learning. NeurIPS 2017. arXiv:1703.05175.
        Departures: the classes of the test are those of the training; prior; a batch is an episode, whatever the
        recipe's batch_size; a class with fewer rows than shots + queries repeats some.
    """

    family = "few labels"
    objectives = ("classification",)
    paper = "snell2017prototypical"
    lives_on = {"labelled target rows": "the source's class means"}
    uses_target = False
    alone = "its batches are episodes of a few classes"
    ways: int = whole(
        default=10, search=(5, 10, 20), doc="classes of an episode; all of a domain's classes if it has fewer"
    )
    shots: int = whole(default=3, search=(1, 3, 5), doc="support and query rows of each class")
    queries: int = whole(default=3, doc="support and query rows of each class")
    prior: float = positive(
        default=0.0, zero=True, search=(0.0, 1.0, 3.0), doc="target rows that a source prototype counts for"
    )
    prototypes: Tensor | None = state()

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("prototypes", None)

    @property
    def episode(self) -> tuple[int, int]:
        return self.ways, self.shots + self.queries

    def supervise(self, source: Source) -> Tensor:
        support = pick_support(source.y, self.shots, torch.rand(len(source), device=source.z.device))
        return prototypical_loss(source.z, source.y, support, self.network.outputs)

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        trainer.descend(self, split_labelled(self.network, source)[0], target)

    def before_evaluation(self, trainer: TrainerLike, target: Domain) -> None:
        z, y = trainer.outputs(self, trainer.labelled).z, torch.as_tensor(trainer.labelled.labels)
        own = torch.as_tensor(trainer.labelled.origin) == self.network.target_origin
        (m_t, n_t), (m_s, n_s) = (class_means(z[k], y[k], self.network.outputs) for k in (own, ~own))
        n_s = torch.where(n_t > 0, self.prior, 1.0) * (n_s > 0)
        total = (n_t + n_s)[:, None]
        c = (n_t[:, None] * m_t + n_s[:, None] * m_s) / total.clamp(min=1e-12)
        self.prototypes = c.masked_fill(total == 0, torch.inf).to(self.network.device)

    def predict(self, x: Any) -> tuple[Tensor, Tensor]:
        """Logits are -||z - c_k||² less the row's largest, at least -1e4 (a class without any labelled row)."""
        z, logits = self.network(x)
        if self.prototypes is None:
            return z, logits
        logits = prototype_logits(as_float(z), self.prototypes)
        return z, (logits - logits.amax(1, keepdim=True)).clamp(min=-1e4)
