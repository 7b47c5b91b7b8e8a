"""ResNet 18, 34, 50, 101 (He et al. 2016); 512 features, from ResNet-50 on 2048."""

from __future__ import annotations

from torch import nn

from dalib.backbones._torchvision import create_model, finish
from dalib.core.backbone import Backbone

NAMES = ("resnet18", "resnet34", "resnet50", "resnet101")


def build(name: str, weights: str) -> Backbone:
    """Groups: stem, layer1, layer2, layer3, layer4."""
    model = create_model(name)
    dim = model.fc.in_features
    model.fc = nn.Identity()
    groups = [nn.Sequential(model.conv1, model.bn1), model.layer1, model.layer2, model.layer3, model.layer4]
    return finish(name, weights, model, dim=dim, groups=groups, head="fc.")
