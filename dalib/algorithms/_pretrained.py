"""What Co-Tuning and Learning without Forgetting share: the classifier that the backbone was pretrained with."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, TrainerLike
from dalib.core.errors import DalibError
from dalib.core.types import Domain, Source
from dalib.nn.discrepancy import as_float


class PretrainedHead(Algorithm):
    """Trains a copy of the pretrained head beside the new one, at the backbone's rate; it is dropped after training.

    A bottleneck lies behind the features that the pretrained head takes, so with one the rows pass the backbone twice.
    """

    uses_target = False
    needs_head = True

    def begin(self) -> None:
        """Copy the pretrained head; `fit` does it, a loop of your own before it makes the optimiser.

        Raises
            DalibError: the backbone came without its classifier
        """
        if self.network.pretrained_head is None:
            raise DalibError(
                f"{self.name_for_people()} needs the classifier that the backbone was pretrained with, and "
                "there is none; use resnet50, mobilenet_v2, vit_b_16 or timm:MODEL with weights = 'imagenet' or a file "
                "of the whole network (in Python: load_backbone(…, head=True))"
            )
        self.old_head = copy.deepcopy(self.network.pretrained_head).to(self.network.device)

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        mine = [(self.old_head, backbone_rate)] if hasattr(self, "old_head") else []
        return [*super().rates(backbone_rate), *mine]

    def old_logits(self, source: Source) -> Tensor:
        """The old head's logits (B, K_old) of the backbone's features."""
        plain = isinstance(self.network.bottleneck, nn.Identity)
        return as_float(self.old_head(source.z if plain else self.network.backbone(source.x)))

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        self.begin()
        super().fit(trainer, source, target)
        self.end()

    def end(self) -> None:
        """Drop what only training needs."""
        del self.old_head
