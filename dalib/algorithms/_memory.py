"""Source-free learning from the target's own neighbours: a memory of every row's feature and prediction."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from dalib.algorithms._phases import SourceFirst
from dalib.core.algorithm import TrainerLike
from dalib.core.hyper import positive, state
from dalib.core.types import Domain, Target


class TargetMemory(SourceFirst):
    """Phase two remembers z / |z| (n, d) and p (n, K) of the whole target; each training batch renews its own rows.

    It begins with what the network says of all rows when the phase begins; outside of training the batch is the memory.
    """

    objectives = ("classification",)
    source_free = True
    rate: float = positive(
        default=0.1, search=(0.03, 0.1, 0.3, 1.0), doc="factor on the learning rates in phase two", last=True
    )
    memory_z: Tensor | None = state()
    memory_p: Tensor | None = state()

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("memory_z", None)
        self.register_buffer("memory_p", None)

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        factor = self.rate if self.adapting else 1.0
        return [(module, factor * rate) for module, rate in super().rates(backbone_rate)]

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        if self.adapting and (self.memory_z is None or len(self.memory_z) != len(target)):
            out, device = trainer.outputs(self, target), self.network.device
            self.memory_z, self.memory_p = normalize(out.z, dim=1).to(device), out.p.to(device)

    @torch.no_grad()
    def remember(self, target: Target) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(z of unit length (B, d), the memory's z and p, which row of it each of the batch is), the batch renewed."""
        z, p = normalize(target.z, dim=1), target.logits.softmax(1)
        if self.memory_z is None or self.memory_p is None or not self.training:
            return z, z, p, torch.arange(len(z), device=z.device)
        self.memory_z[target.index], self.memory_p[target.index] = z, p
        return z, self.memory_z, self.memory_p, target.index
