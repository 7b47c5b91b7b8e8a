"""Prediction with the target's batch-norm statistics."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, TrainerLike
from dalib.core.types import Domain
from dalib.nn.batch_norms import BATCH_NORMS

Self = TypeVar("Self", bound="TargetStatistics")


class TargetStatistics(Algorithm):
    """Every candidate predicts with statistics of the whole target; training goes on with those that it had.

    The latter wait in the buffer `kept` until training mode is switched on again.
    """

    def norms(self) -> list[nn.Module]:
        """The network's batch norms with running statistics."""
        return [m for m in self.network.modules() if isinstance(m, BATCH_NORMS) and m.track_running_stats]

    def before_evaluation(self, trainer: TrainerLike, target: Domain) -> None:
        if self.norms():
            self.eval()
            self.register_buffer("kept", torch.cat(self._statistics()))
            trainer.reestimate(self, target)

    def train(self: Self, mode: bool = True) -> Self:
        super().train(mode)
        kept = self._buffers.pop("kept", None) if mode else None
        if kept is not None:
            now = self._statistics()
            for statistic, before in zip(now, kept.split([len(s) for s in now]), strict=True):
                statistic.copy_(before)
        return self

    def _statistics(self) -> list[Tensor]:
        tensors = []
        for norm in self.norms():
            values = [norm.running_mean, norm.running_var, norm.num_batches_tracked]
            tensors += [value.view(-1) for value in values if isinstance(value, Tensor)]
        return tensors
