"""Heads on feature maps: torchvision's whole networks are reproduced, the small U-Net keeps its shapes."""

from __future__ import annotations

import pytest
import torch
from torchvision.models import segmentation

from dalib.backbones import load_backbone
from dalib.core.errors import DalibError
from dalib.core.objective import find_objective
from dalib.nn.decoders import UNet
from dalib.nn.feature_levels import feature_levels


@pytest.mark.slow  # two ResNet-50s
@pytest.mark.parametrize("kind", ["deeplabv3", "fcn"])
def test_a_dilated_resnet_with_torchvisions_head_is_torchvisions_network(kind):
    torch.manual_seed(0)
    theirs = segmentation.__dict__[f"{kind}_resnet50"](weights=None, weights_backbone=None, num_classes=5).eval()
    backbone = load_backbone("resnet50", "none", dilated="yes")
    backbone.module.load_state_dict(theirs.backbone.state_dict())
    network = find_objective("segmentation").network(backbone, 5, 0, decoder=kind).eval()
    network.head.head.load_state_dict(theirs.classifier.state_dict())
    x = torch.rand(1, 3, 48, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(x)[1], theirs(x)["out"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("decoder", ["unet", "fcn", "deeplabv3", "lraspp"])
@pytest.mark.parametrize("name", ["tiny", "mobilenet_v2"])
def test_every_decoder_answers_every_pixel(name, decoder):
    network = find_objective("segmentation").network(load_backbone(name, "none"), 4, 16, decoder=decoder).eval()
    with torch.no_grad():
        z, prediction = network(torch.rand(2, 3, 64, 64))
    assert z.shape == (2, 16) and prediction.shape == (2, 4, 64, 64)


def test_z_is_the_mean_of_what_the_decoder_starts_from():
    network = find_objective("segmentation").network(load_backbone("tiny", "none"), 3, 8).eval()
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        levels = feature_levels(network.backbone, network.maps, x)
        torch.testing.assert_close(network(x)[0], network.bottleneck(levels[-1]).mean((2, 3)))
        torch.testing.assert_close(levels[-1].mean((2, 3)), network.embed(x))
    assert [level.shape[2] for level in levels] == [16, 8, 4, 2]


def test_the_u_net_goes_up_by_halves_of_its_width():
    net = UNet([5, 6, 64], 3)
    assert [level[0].weight.shape for level in net.levels] == [(32, 70, 3, 3), (16, 37, 3, 3)]
    assert net([torch.rand(1, 5, 8, 8), torch.rand(1, 6, 4, 4), torch.rand(1, 64, 2, 2)]).shape == (1, 3, 8, 8)


def test_a_backbone_without_maps_is_refused_with_some_that_have_them():
    with pytest.raises(DalibError, match=r"backbone 'lenet' gives no feature maps.*use tiny"):
        find_objective("segmentation").network(load_backbone("lenet", "none"), 3)


def test_dilation_is_yes_or_no_and_for_bottleneck_resnets():
    with pytest.raises(DalibError, match=r"resnet50.dilated = 'maybe' is neither yes nor no"):
        load_backbone("resnet50", "none", dilated="maybe")
    with pytest.raises(DalibError, match="from resnet50 on"):
        load_backbone("resnet18", "none", dilated="yes")
