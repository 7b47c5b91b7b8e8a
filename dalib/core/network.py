"""Backbone -> optional bottleneck -> linear head: the network every algorithm shares."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dalib.core.backbone import Backbone, identity
from dalib.core.objective import Objective, find_objective
from dalib.core.rows import Input


class Network(nn.Module):
    """x -> (z, prediction).

    `pretrained_head`: the classifier that the backbone came with, of its own classes; None unless it was kept.

    Args
        backbone: the feature extractor
        outputs: numbers that the head gives per row: K classes
        origins: how many source domains there are
        target_origin: which of them is the target itself, whose labelled rows came with the protocol; -1 = none
        objective: what an answer is; it makes the head. None = classification
        bottleneck: width of Linear + BatchNorm + ReLU after the backbone; 0 = none
        initialisation: of the linear layers of bottleneck and head: `torch`, their own as in Transfer-Learning-Library
            (uniform, |w| <= 1 / sqrt(fan in), biases too); `kaiming` normal of variance 2 / fan in in the bottleneck,
            deviation 0.01 in the head, biases 0. What a batch norm follows does not change with the scale of its
            weights, so larger ones only move more slowly: the rate is divided by their squared norm

    Shapes
        x (B, *S), or {modality: (B, *S)} -> z (B, dim), prediction (B, outputs); dim = bottleneck or backbone.dim
    """

    pretrained_head: nn.Linear | None

    def __init__(
        self,
        backbone: Backbone,
        outputs: int,
        bottleneck: int = 256,
        origins: int = 1,
        target_origin: int = -1,
        objective: Objective | None = None,
        initialisation: str = "torch",
    ) -> None:
        super().__init__()
        self.backbone = backbone.module
        self.groups = list(backbone.groups)
        self.outputs = outputs
        self.objective = objective or find_objective()
        self.origins = origins
        self.target_origin = target_origin
        object.__setattr__(self, "pretrained_head", backbone.head)  # no submodule: who needs it copies it
        self.make_layers(backbone, outputs, bottleneck, initialisation)

    def make_layers(self, backbone: Backbone, outputs: int, bottleneck: int, initialisation: str) -> None:
        """Bottleneck and head, and the width of z."""
        self.dim = bottleneck or backbone.dim
        self.bottleneck: nn.Module = nn.Identity()
        if bottleneck:
            linear = nn.Linear(backbone.dim, bottleneck)
            if initialisation == "kaiming":
                nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
                nn.init.zeros_(linear.bias)
            self.bottleneck = nn.Sequential(linear, nn.BatchNorm1d(bottleneck), nn.ReLU())
        self.head = self.objective.head(self.dim, outputs)
        if initialisation == "kaiming" and isinstance(self.head, nn.Linear):
            nn.init.normal_(self.head.weight, 0.0, 0.01)
            nn.init.zeros_(self.head.bias)

    @classmethod
    def on_features(cls, dim: int, outputs: int, bottleneck: int = 256, initialisation: str = "torch") -> Network:
        """A network whose input is a feature vector (B, dim)."""
        return cls(identity(dim), outputs, bottleneck, initialisation=initialisation)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.head.parameters()).device

    def forward(self, x: Input) -> tuple[Tensor, Tensor]:
        z = self.bottleneck(self.backbone(x))
        return z, self.head(z)

    def embed(self, x: Input) -> Tensor:
        """The backbone's own features (B, backbone.dim), without the bottleneck."""
        with torch.no_grad():
            return self.backbone(x)
