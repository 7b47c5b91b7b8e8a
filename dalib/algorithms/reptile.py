"""Find weights near those that every task ends at, by moving towards each in turn."""

import torch
from torch import Tensor

from dalib.algorithms._labelled_target import TargetLast, pick_rows, without_rows
from dalib.core.algorithm import Minimise
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.episodes import differentiate, episode_loss, gradient_step, interpolate, rank_in_class


class Reptile(TargetLast):
    """Reptile, tasks being episodes of one source domain each; then fine-tuning on the labelled target rows.

    1  episodes:              θ' = θ after `inner` steps θ := θ - inner_rate ∇CE on further rows of the task each
                              θ := θ + rate (1 - progress) (θ' - θ)
    2  labelled target rows:  loss = CE(logits, y), from θ

    CE of an episode is among its own classes. Where the protocol labels no target row (`uda`), or no other
    (`supervised`), both phases are on all labelled rows.

    Shapes
        x (B, *S), logits (B, K), y (B,)
    Reference
        Nichol, Achiam & Schulman. On First-Order Meta-Learning Algorithms. 2018. arXiv:1803.02999 (algorithm 1).
        Departures: one task per meta-step; plain gradient steps inside (there: Adam without momentum); a class keeps
        its logit from task to task; phase one ignores the recipe's optimiser, phase two is the recipe's for the rest of
        the steps; running statistics of batch norms are not interpolated.
    """

    family = "few labels"
    objectives = ("classification",)
    paper = "nichol2018reptile"
    lives_on = {
        "labelled target rows": "two descents on the same rows",
        "labelled source rows": "two descents on the same rows",
    }
    undivided = "it differentiates the loss of an episode itself"
    ways: int = whole(default=10, doc="classes of an episode; all of a domain's classes if it has fewer")
    shots: int = whole(default=2, doc="rows of each class in an inner step")
    inner: int = whole(default=3, search=(3, 5), doc="gradient steps in a task")
    inner_rate: float = positive(
        default=0.05, search=(0.01, 0.05, 0.1), doc="their learning rate, the same for all trained weights"
    )
    rate: float = positive(
        default=1.0, most=1, doc="part of the way to θ' at the beginning; it falls to 0 during phase one"
    )
    pretrain: float = positive(default=0.8, below=1, search=(0.5, 0.8), doc="part of the steps spent on phase one")

    @property
    def episode(self) -> tuple[int, int]:
        return (0, 0) if self.adapting else (self.ways, self.shots * self.inner)

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        if self.adapting:
            super().step(source, target, progress, minimise)
            return
        weights = [w for w in self.network.parameters() if w.requires_grad]
        start, none, losses = [w.detach().clone() for w in weights], without_rows(target), []
        turn = rank_in_class(source.y, torch.rand(len(source), device=source.z.device)) // self.shots
        for i in range(self.inner):
            rows = turn == i if (turn == i).sum() > 1 else turn >= 0
            part = pick_rows(source, rows)
            if i:
                part, _ = minimise.forward(part, none)
            losses.append(episode_loss(part.logits, part.y))
            gradient_step(weights, differentiate(losses[-1], weights), self.inner_rate)
        interpolate(weights, start, self.rate * (1 - progress))
        minimise({"episode": torch.stack(losses).mean().detach().requires_grad_()}, only=[])
