"""ResNet 18, 34, 50, 101 (He et al. 2016); 512 features, from ResNet-50 on 2048."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from dalib.backbones._torchvision import create_model, finish
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError

NAMES = ("resnet18", "resnet34", "resnet50", "resnet101")
MAPS = ("relu", "layer1", "layer2", "layer3", "layer4")


def build(name: str, weights: str, dilated: str = "no") -> Backbone:
    """Groups: stem, layer1, layer2, layer3, layer4.

    dilated: `yes`: from ResNet-50 on, layer3 and layer4 keep an eighth of the image's side and look farther instead, as
        torchvision's DeepLabV3 and FCN have them; for answers per pixel
    """
    if dilated not in ("yes", "no"):
        raise DalibError(f"{name}.dilated = '{dilated}' is neither yes nor no")
    if dilated == "yes" and name in ("resnet18", "resnet34"):
        raise DalibError(f"{name}.dilated: torchvision dilates ResNets from resnet50 on; leave it out")
    model = create_model(name, **({"replace_stride_with_dilation": [False, True, True]} if dilated == "yes" else {}))
    dim = model.fc.in_features
    model.fc = nn.Identity()
    groups = [nn.Sequential(model.conv1, model.bn1), model.layer1, model.layer2, model.layer3, model.layer4]
    return replace(finish(name, weights, model, dim=dim, groups=groups, head="fc."), maps=MAPS)
