"""VGG 16 and 19 (Simonyan, Zisserman 2015); 4096 features: fc7, the last but one fully-connected layer, after ReLU."""

from __future__ import annotations

from torch import nn

from dalib.backbones._torchvision import create_model, finish, split_sequence
from dalib.core.backbone import Backbone

NAMES = ("vgg16", "vgg19")


def build(name: str, weights: str) -> Backbone:
    """Groups: five convolutional stages, each up to its pooling, then fc6 (with its dropout) and fc7."""
    model = create_model(name)
    model.classifier = model.classifier[:5]
    ends = [i + 1 for i, layer in enumerate(model.features) if isinstance(layer, nn.MaxPool2d)]
    groups = split_sequence(model.features, (0, *ends[:-1])) + split_sequence(model.classifier, (0, 3))
    return finish(name, weights, model, dim=4096, groups=groups, head="classifier.6.")
