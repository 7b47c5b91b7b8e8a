"""The classifier that weights hold beside the backbone, and MobileNetV2 cut at a block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dalib.backbones import load_backbone
from dalib.backbones._classifier import load_classifier
from dalib.backbones._torchvision import create_model
from dalib.backbones._weights import hash_state
from dalib.backbones.mobilenet_v2 import NAMES

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def run(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return module.eval()(x)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_features_and_classifier_together_are_the_whole_network(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = create_model(name)
    torch.save(whole.state_dict(), tmp_path / "whole.pth")
    backbone = load_backbone(name, str(tmp_path / "whole.pth"))
    classifier = load_classifier(backbone, str(tmp_path / "whole.pth"))
    assert classifier is not None and classifier.out_features == 1000
    torch.testing.assert_close(run(classifier, run(backbone.module, IMAGES)), run(whole, IMAGES))


def test_a_hidden_layer_of_the_classifier_is_not_taken_for_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole, path = create_model("mobilenet_v3_large"), str(tmp_path / "whole.pth")
    torch.save(whole.state_dict(), path)
    backbone = load_backbone("mobilenet_v3_large", path, frozen=True)
    torch.testing.assert_close(run(backbone.module, IMAGES), run(whole.features, IMAGES).mean((2, 3)))
    assert load_classifier(backbone, path) is None


def test_weights_without_a_classifier_have_none(tmp_path: Path) -> None:
    backbone = load_backbone("tiny", "pretrained")
    assert load_classifier(backbone, "pretrained") is None
    assert load_classifier(load_backbone("tiny", "none"), "none") is None
    torch.save({**backbone.module.state_dict(), "head.weight": torch.eye(5, 160)}, tmp_path / "head.pth")
    classifier = load_classifier(load_backbone("tiny", str(tmp_path / "head.pth")), str(tmp_path / "head.pth"))
    assert classifier is not None and torch.equal(classifier.weight.detach(), torch.eye(5, 160))
    assert not classifier.bias.any()


def test_the_int8_classifier_names_objects(shared_data: Path) -> None:
    path = shared_data / "mobilenetv2_imagenet_int8.npz"
    classifier = load_classifier(load_backbone("mobilenet_v2", str(path)), str(path))
    assert classifier is not None
    with np.load(path) as file:
        weight = file["52_q"].astype(np.float64) * file["52_s"][:, None]
        np.testing.assert_allclose(classifier.weight.detach().numpy(), weight, rtol=1e-6)
        np.testing.assert_array_equal(classifier.bias.detach().numpy(), file["52_b"])


@pytest.mark.parametrize(("name", "width"), [*zip(NAMES[1:], (24, 32, 64, 96, 320), strict=True)])
def test_a_cut_network_gives_the_mean_of_its_last_block(name: str, width: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = create_model("mobilenet_v2")
    path = str(tmp_path / "whole.pth")
    torch.save(whole.state_dict(), path)
    backbone = load_backbone(name, path)
    x = IMAGES
    for layer in list(whole.features)[: int(name.partition("@")[2]) + 1]:
        x = run(layer, x)
    assert (backbone.name, backbone.dim) == (name, width) == (name, x.shape[1])
    torch.testing.assert_close(run(backbone.module, IMAGES), x.mean((2, 3)))
    assert sum(p.numel() for g in backbone.groups for p in g.parameters()) == sum(
        p.numel() for p in backbone.module.parameters()
    )
    assert backbone.weights_hash == hash_state(backbone.module)
    assert load_backbone(name, "none").weights_hash == "none"
    assert load_classifier(backbone, path) is None
