"""Backbone -> optional bottleneck -> linear head: the network every algorithm shares."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dalib.core.backbone import Backbone, identity
from dalib.core.objective import Objective, find_objective
from dalib.core.rows import Input
from dalib.core.text_tower import TextTower


class Network(nn.Module):
    """x -> (z, prediction).

    `pretrained_head`: the classifier that the backbone came with, of its own classes; None unless it was kept.
    `pretrained_classes`: what these are called, if that is known.
    `text_tower`: what the backbone reads class names with; None unless it was kept. It is never trained.

    Args
        backbone: the feature extractor
        outputs: numbers that the head gives per row: K classes
        origins: how many source domains there are
        target_origin: which of them is the target itself, whose labelled rows came with the protocol; -1 = none
        objective: what an answer is; it makes the head. None = classification
        bottleneck: width of Linear + BatchNorm + ReLU after the backbone; 0 = none
        answers: as `TrainConfig.answers`; unless `as_given`, buffers `answer_shift` and `answer_scale` (outputs,) keep
            how numbers were scaled
        initialisation: of the linear layers of bottleneck and head: `torch`, their own as in Transfer-Learning-Library
            (uniform, |w| <= 1 / sqrt(fan in), biases too); `kaiming` normal of variance 2 / fan in in the bottleneck,
            deviation 0.01 in the head, biases 0. What a batch norm follows does not change with the scale of its
            weights, so larger ones only move more slowly: the rate is divided by their squared norm

    Shapes
        x (B, *S), or {modality: (B, *S)} -> z (B, dim), prediction (B, outputs); dim = bottleneck or backbone.dim
    """

    dim: int
    bottleneck: nn.Module
    head: nn.Module
    pretrained_head: nn.Linear | None
    text_tower: TextTower | None
    answer_shift: Tensor
    answer_scale: Tensor

    def __init__(
        self,
        backbone: Backbone,
        outputs: int,
        bottleneck: int = 256,
        origins: int = 1,
        target_origin: int = -1,
        objective: Objective | None = None,
        initialisation: str = "torch",
        answers: str = "as_given",
    ) -> None:
        super().__init__()
        self.answers = answers
        self.backbone = backbone.module
        self.groups = list(backbone.groups)
        self.outputs = outputs
        self.objective = objective or find_objective()
        self.origins = origins
        self.target_origin = target_origin
        object.__setattr__(self, "pretrained_head", backbone.head)  # no submodule: who needs it copies it
        object.__setattr__(self, "text_tower", backbone.text_tower)
        self.pretrained_classes = backbone.head_classes
        self.make_layers(backbone, outputs, bottleneck, initialisation)
        if answers != "as_given":
            self.register_buffer("answer_shift", torch.zeros(outputs))
            self.register_buffer("answer_scale", torch.ones(outputs))
        if answers == "bounded":
            self.head = nn.Sequential(self.head, nn.Sigmoid())

    def make_layers(self, backbone: Backbone, outputs: int, bottleneck: int, initialisation: str) -> None:
        """Bottleneck and head, and the width of z."""
        self.dim = bottleneck or backbone.dim
        self.bottleneck = nn.Identity()
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

    def scale_answers(self, y: Tensor) -> Tensor:
        """Numbers (n, outputs) as they are learnt, and their scale from now on: `y` are the labelled rows' own."""
        if self.answers == "as_given":
            return y
        exact = y.double()
        low, spread = exact.mean(0), exact.std(0, correction=0)
        if self.answers == "bounded":
            low, spread = exact.amin(0), exact.amax(0) - exact.amin(0)
        self.answer_shift.copy_(low)
        unit = torch.where(spread > 0, spread, 1.0)
        self.answer_scale.copy_(spread if self.answers == "bounded" else unit)  # bounded by one value it is that value
        return ((exact - self.answer_shift.double().cpu()) / unit.to(self.answer_scale).double().cpu()).to(y.dtype)

    def carry_answers(self, shift: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """From now on answers are in the unit of y, where what was learnt were (y - shift) / scale, float64 (outputs,).

        Shift and scale of what the head says, as they are then, float64: the network keeps float32.
        """
        if self.answers == "as_given":
            self.answers = "standardised"
            self.register_buffer("answer_shift", torch.zeros(self.outputs))
            self.register_buffer("answer_scale", torch.ones(self.outputs))
        shift = self.answer_shift.double().cpu() * scale + shift
        scale = self.answer_scale.double().cpu() * scale
        self.answer_shift.copy_(shift)
        self.answer_scale.copy_(scale)
        return shift, scale

    def restore_answers(self, prediction: Tensor) -> Tensor:
        """What the head says, in the unit of the labels."""
        if self.answers == "as_given":
            return prediction
        return prediction * self.answer_scale.to(prediction) + self.answer_shift.to(prediction)

    def embed(self, x: Input) -> Tensor:
        """The backbone's own features (B, backbone.dim), without the bottleneck."""
        with torch.no_grad():
            return self.backbone(x)
