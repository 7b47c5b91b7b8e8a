"""AlexNet (Krizhevsky 2014); 4096 features: fc7, the last but one fully-connected layer, after ReLU."""

from __future__ import annotations

from dalib.backbones._torchvision import create_model, finish, split_sequence
from dalib.core.backbone import Backbone


def build(name: str, weights: str) -> Backbone:
    """Groups: conv1, conv2, conv3, conv4, conv5, fc6, fc7."""
    model = create_model(name)
    model.classifier = model.classifier[:6]
    groups = split_sequence(model.features, (0, 3, 6, 8, 10)) + split_sequence(model.classifier, (0, 3))
    return finish(name, weights, model, dim=4096, groups=groups, head="classifier.6.")
