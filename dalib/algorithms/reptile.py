"""Find weights near those that every task ends at, by moving towards each in turn."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.algorithms._few import TargetLast, pick_rows, without_rows
from dalib.algorithms._ranges import require_positive, require_whole
from dalib.core.algorithm import Minimise
from dalib.core.errors import DalibError
from dalib.core.types import Source, Target
from dalib.nn.episodes import differentiate, episode_loss, gradient_step, interpolate, rank_in_class


class Reptile(TargetLast):
    """Reptile, tasks being episodes of one source domain each; then fine-tuning on the labelled target rows.

    1  episodes:              θ' = θ after `inner` steps θ := θ - inner_rate ∇CE on further rows of the task each
                              θ := θ + rate (1 - progress) (θ' - θ)
    2  labelled target rows:  loss = CE(logits, y), from θ

    CE of an episode is among its own classes. Where the protocol labels no target row (`uda`), or no other
    (`supervised`), both phases are on all labelled rows.

    Args
        ways: classes of an episode, >= 1; all of a domain's classes if it has fewer
        shots: rows of each class in an inner step, >= 1
        inner: gradient steps in a task, >= 1
        inner_rate: their learning rate, the same for all trained weights, > 0
        rate: part of the way to θ' at the beginning, in (0, 1]; it falls to 0 during phase one
        pretrain: part of the steps spent on phase one, in (0, 1)
    Shapes
        x (B, *S), logits (B, K), y (B,)
    Reference
        Nichol, Achiam & Schulman. On First-Order Meta-Learning Algorithms. 2018. arXiv:1803.02999 (algorithm 1).
        Departures: one task per meta-step; plain gradient steps inside (there: Adam without momentum); a class keeps
        its logit from task to task; phase one ignores the recipe's optimiser, phase two is the recipe's for the rest of
        the steps; running statistics of batch norms are not interpolated.
    """

    family = "few labels"
    paper = "nichol2018reptile"
    space = {"inner": [3, 5], "inner_rate": [0.01, 0.05, 0.1], "pretrain": [0.5, 0.8]}

    def __init__(
        self,
        ways: int = 10,
        shots: int = 2,
        inner: int = 3,
        inner_rate: float = 0.05,
        rate: float = 1.0,
        pretrain: float = 0.8,
    ) -> None:
        super().__init__()
        self.ways = ways
        self.shots = shots
        self.inner = inner
        self.inner_rate = inner_rate
        self.rate = rate
        self.pretrain = pretrain

    def check(self) -> None:
        super().check()
        require_whole(self, "ways", "shots", "inner")
        require_positive(self, "inner_rate", "rate")
        if self.rate > 1:
            raise DalibError(f"reptile.rate = {self.rate!r} is out of range; give a number > 0 and <= 1")

    @property
    def episode(self) -> tuple[int, int]:
        return (0, 0) if self.adapting else (int(self.ways), int(self.shots * self.inner))

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        if self.adapting:
            super().step(source, target, progress, minimise)
            return
        weights = [w for w in self.network.parameters() if w.requires_grad]
        start, none, losses = [w.detach().clone() for w in weights], without_rows(target), []
        turn = rank_in_class(source.y, torch.rand(len(source), device=source.z.device)) // int(self.shots)
        for i in range(int(self.inner)):
            rows = turn == i if (turn == i).sum() > 1 else turn >= 0
            part = pick_rows(source, rows)
            if i:
                part, _ = minimise.forward(part, none)
            losses.append(episode_loss(part.logits, part.y))
            gradient_step(weights, differentiate(losses[-1], weights), self.inner_rate)
        interpolate(weights, start, self.rate * (1 - progress))
        minimise({"episode": torch.stack(losses).mean().detach().requires_grad_()}, only=[])
