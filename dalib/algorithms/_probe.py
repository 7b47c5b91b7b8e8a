"""The new layers alone first, everything afterwards."""

from __future__ import annotations

from torch import Tensor, nn, ones
from torch.nn.functional import cross_entropy

from dalib.algorithms._ranges import require_positive
from dalib.core.algorithm import Algorithm, Terms, TrainerLike
from dalib.core.errors import DalibError
from dalib.core.registry import snake_case
from dalib.core.types import Domain, Source, Target


class ProbeFirst(Algorithm):
    """Two descents on cross-entropy, each with its own schedule: the backbone is frozen in the first.

    Args (shared by every subclass)
        probe: part of the steps spent on the new layers alone, in (0, 1)
    """

    family = "fine-tuning"
    uses_target = False
    probe: float

    def check(self) -> None:
        require_positive(self, "probe")
        if self.probe >= 1:
            name = f"{snake_case(type(self).__name__)}.probe"
            raise DalibError(f"{name} = {self.probe!r} is out of range; give a number between 0 and 1")

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

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"classification": cross_entropy(source.logits, source.y)}
