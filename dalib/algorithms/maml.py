"""Find weights from which a few gradient steps on a few rows go far: first-order model-agnostic meta-learning."""

import torch
from torch import Tensor

from dalib.algorithms._labelled_target import TargetLast, pick_rows, without_rows
from dalib.core.algorithm import Minimise
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.episodes import differentiate, episode_loss, gradient_step, interpolate, pick_support, with_gradient


class MAML(TargetLast):
    """FOMAML, tasks being episodes of one source domain each; then fine-tuning on the labelled target rows.

    1  episodes:              θ' = θ - inner_rate ∇CE_support(θ), `inner` times;  the optimiser takes ∇CE_query(θ')
    2  labelled target rows:  loss = CE(logits, y), from θ

    CE of an episode is among its own classes. Where the protocol labels no target row (`uda`), or no other
    (`supervised`), both phases are on all labelled rows.

    Shapes
        x (B, *S), logits (B, K), y (B,)
    Reference
        Finn, Abbeel & Levine. Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks. ICML 2017.
        arXiv:1703.03400 (section 5.2, first-order). Departures: one task per meta-step; a class keeps its logit from
        task to task; phase two is the recipe's optimiser for the rest of the steps, not a few inner steps; batch norms
        normalise by the batch, and inner forward passes move their running statistics.
    """

    family = "few labels"
    objectives = ("classification",)
    paper = "finn2017maml"
    lives_on = {
        "labelled target rows": "two descents on the same rows",
        "labelled source rows": "two descents on the same rows",
    }
    undivided = "it differentiates the loss of an episode itself"
    ways: int = whole(default=10, doc="classes of an episode; all of a domain's classes if it has fewer")
    shots: int = whole(default=3, doc="support and query rows of each class")
    queries: int = whole(default=3, doc="support and query rows of each class")
    inner: int = whole(default=3, search=(1, 3, 5), doc="gradient steps on the support rows")
    inner_rate: float = positive(
        default=0.05, search=(0.01, 0.05, 0.1), doc="their learning rate, the same for all trained weights"
    )
    pretrain: float = positive(default=0.8, below=1, search=(0.5, 0.8), doc="part of the steps spent on phase one")

    @property
    def episode(self) -> tuple[int, int]:
        return (0, 0) if self.adapting else (self.ways, self.shots + self.queries)

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        if self.adapting:
            super().step(source, target, progress, minimise)
            return
        support = pick_support(source.y, self.shots, torch.rand(len(source), device=source.z.device))
        query = ~support if (~support).sum() > 1 else torch.ones_like(support)
        weights = [w for w in self.network.parameters() if w.requires_grad]
        start, none = [w.detach().clone() for w in weights], without_rows(target)
        part = pick_rows(source, support)
        for i in range(self.inner):
            if i:
                part, _ = minimise.forward(part, none)
            gradient_step(weights, differentiate(episode_loss(part.logits, part.y), weights), self.inner_rate)
        part, _ = minimise.forward(pick_rows(source, query), none)
        term = episode_loss(part.logits, part.y)
        gradients = differentiate(term, weights)
        interpolate(weights, start, 0.0)
        minimise({"query": with_gradient(term, weights, gradients)})
