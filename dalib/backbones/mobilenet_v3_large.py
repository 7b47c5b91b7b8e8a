"""MobileNetV3-Large 1.0 (Howard et al. 2019), torchvision's weights; 960 features, the mean of its last maps."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from dalib.backbones._torchvision import create_model, finish, split_sequence
from dalib.core.backbone import Backbone, DetectorPlan

STARTS = (0, 2, 4, 7, 13, 16)
"""First layers of the groups: those of torchvision's `trainable_backbone_layers`, of which a detector has six."""
MAPS = ("features.1", "features.3", "features.6", "features.12", "features.16")
PLAN = DetectorPlan("features", ("features.13", "features.16"), (32.0, 64.0, 128.0, 256.0, 512.0), 0.05, 1e-5)
"""Of `fasterrcnn_mobilenet_v3_large_fpn` and `…_320_fpn`."""


def build(name: str, weights: str) -> Backbone:
    """Blocks and the last convolution; the two layers behind them, hidden and of ImageNet's classes, are cut off."""
    model = create_model(name)
    model.classifier = nn.Identity()
    groups = split_sequence(model.features, STARTS)
    made = finish(name, weights, model, dim=960, groups=groups, head="classifier.", body="features.")
    return replace(made, maps=MAPS, plan=PLAN)
