"""Defect: the declared width is not the module's, and a block is forgotten in the groups."""

from __future__ import annotations

from torch import nn

from dalib.core.backbone import Backbone, Preprocess


def build(name: str, weights: str) -> Backbone:
    conv = nn.Conv2d(3, 8, 3)
    module = nn.Sequential(conv, nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Backbone(name, module, 16, groups=[conv], preprocess=Preprocess(36, 32))
