"""Backbone -> optional bottleneck -> linear head: the network every algorithm shares."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dalib.core.backbone import Backbone, identity
from dalib.core.rows import Input


class Network(nn.Module):
    """x -> (z, logits).

    `pretrained_head`: the classifier that the backbone came with, of its own classes; None unless it was kept.

    Args
        backbone: the feature extractor
        num_classes: K
        origins: how many source domains there are
        target_origin: which of them is the target itself, whose labelled rows came with the protocol; -1 = none
        bottleneck: width of Linear + BatchNorm + ReLU after the backbone (Transfer-Learning-Library's recipe); 0 = none

    Shapes
        x (B, *S), or {modality: (B, *S)} -> z (B, dim), logits (B, K); dim = bottleneck or backbone.dim
    """

    pretrained_head: nn.Linear | None

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        bottleneck: int = 256,
        origins: int = 1,
        target_origin: int = -1,
    ) -> None:
        super().__init__()
        self.backbone = backbone.module
        self.groups = list(backbone.groups)
        self.num_classes = num_classes
        self.origins = origins
        self.target_origin = target_origin
        object.__setattr__(self, "pretrained_head", backbone.head)  # no submodule: who needs it copies it
        self.dim = bottleneck or backbone.dim
        self.bottleneck: nn.Module = nn.Identity()
        if bottleneck:
            linear = nn.Linear(backbone.dim, bottleneck)
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
            self.bottleneck = nn.Sequential(linear, nn.BatchNorm1d(bottleneck), nn.ReLU())
        self.head = nn.Linear(self.dim, num_classes)
        nn.init.normal_(self.head.weight, 0.0, 0.01)
        nn.init.zeros_(self.head.bias)

    @classmethod
    def on_features(cls, dim: int, num_classes: int, bottleneck: int = 256) -> Network:
        """A network whose input is a feature vector (B, dim)."""
        return cls(identity(dim), num_classes, bottleneck)

    def forward(self, x: Input) -> tuple[Tensor, Tensor]:
        z = self.bottleneck(self.backbone(x))
        return z, self.head(z)

    def embed(self, x: Input) -> Tensor:
        """The backbone's own features (B, backbone.dim), without the bottleneck."""
        with torch.no_grad():
            return self.backbone(x)
