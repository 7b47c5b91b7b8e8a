"""The source alone first, adaptation afterwards."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Algorithm, Minimise, Terms, TrainerLike
from dalib.core.errors import DalibError
from dalib.core.registry import snake_case
from dalib.core.types import Domain, Source, Target


class SourceFirst(Algorithm):
    """Two descents: `supervise` on the source for a part of the steps, then `loss`, each with its own schedule.

    In the first the source stands in for the target too, so that batch norms see nothing else. In the second the source
    is withheld. `rates` and `begin_epoch` tell the phase by `adapting`, `step` by the rows of the source.

    Args (shared by every subclass)
        pretrain: part of the steps spent on the source alone, in (0, 1)
    """

    withholds: ClassVar[bool] = True
    pretrain: float
    begun: Tensor | None

    def check(self) -> None:
        require_positive(self, "pretrain")
        if self.pretrain >= 1:
            name = f"{snake_case(type(self).__name__)}.pretrain"
            raise DalibError(f"{name} = {self.pretrain!r} is out of range; give a number between 0 and 1")

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
        self.begin()
        self.begun = torch.ones(())
        trainer.descend(self, source.take(np.arange(0), "withheld") if self.withholds else source, target)

    def supervise(self, source: Source) -> Terms:
        """The first phase's terms."""
        return {"classification": cross_entropy(source.logits, source.y)}

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        minimise(self.supervise(source) if len(source) else self.loss(source, target, progress))
