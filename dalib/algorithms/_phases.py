"""The source alone first, adaptation afterwards."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dalib.core.algorithm import Algorithm, Minimise, TrainerLike
from dalib.core.hyper import positive, state
from dalib.core.types import Domain, Source, Target


class SourceFirst(Algorithm):
    """Two descents: `supervise` on the source for a part of the steps, then `adapt`, each with its own schedule.

    In the first the source stands in for the target too, so that batch norms see nothing else. In the second the source
    is withheld. `rates` and `begin_epoch` tell the phase by `adapting`, `step` by the rows of the source.
    """

    alone = "its second phase goes on without what its first had"
    withholds: ClassVar[bool] = True
    of_the_source: ClassVar[tuple[str, ...]] = ("pretrain",)
    pretrain: float = positive(default=0.5, below=1, doc="part of the steps spent on phase one", last=True)
    begun: Tensor | None = state()

    @property
    def adapting(self) -> bool:
        """The second phase has begun: there is a buffer that says so, in checkpoints too."""
        return self._buffers.get("begun") is not None

    def begin(self) -> None:
        """Called between the phases."""

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        self.register_buffer("begun", None)
        trainer.descend(self, source, source.unlabelled(), until=self.pretrain)
        self.train()
        self.go_on(trainer, source.take(np.arange(0), "withheld") if self.withholds else source, target)

    def go_on(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        """The second phase, of a network that was trained here or elsewhere."""
        self.begin()
        self.register_buffer("begun", torch.ones(()))
        trainer.descend(self, source, target)

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        if len(source):
            minimise({self.objective.name: self.supervise(source)})
        else:
            minimise(self.adapt(source, target, progress))
