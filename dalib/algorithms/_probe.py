"""The new layers alone first, everything afterwards."""

from __future__ import annotations

from torch import nn, ones

from dalib.core.algorithm import Algorithm, TrainerLike
from dalib.core.hyper import positive
from dalib.core.types import Domain


class ProbeFirst(Algorithm):
    """Two descents on cross-entropy, each with its own schedule: the backbone is frozen in the first."""

    family = "fine-tuning"
    uses_target = False
    probe: float = positive(
        default=0.5, below=1, search=(0.2, 0.5), doc="part of the steps spent on phase one", last=True
    )

    @property
    def tuning(self) -> bool:
        """The second descent has begun: there is a buffer that says so, in checkpoints too."""
        return self._buffers.get("begun") is not None

    def begin(self) -> None:
        """Called between the descents."""

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return [(self, 1.0), (self.network.backbone, backbone_rate * self.tuning)]

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        self.register_buffer("begun", None)
        trainer.descend(self, source, target, until=self.probe)
        self.begin()
        self.begun = ones(())
        trainer.descend(self, source, target)
