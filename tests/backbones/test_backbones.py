"""The contract of every registered backbone: a new file is tested the moment it exists."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from dalib.backbones import load_backbone, takes_rows
from dalib.core.backbone import Backbone, Preprocess
from dalib.core.errors import DalibError
from dalib.core.registry import BACKBONES
from tests.support.tiny_open_clip import register

BIG = ("vgg16", "vgg19", "resnet101")
DIMS = {"resnet18": 512, "resnet34": 512, "resnet50": 2048, "resnet101": 2048, "alexnet": 4096, "vgg16": 4096}
DIMS |= {"vgg19": 4096, "mobilenet_v2": 1280, "mobilenet_v3_large": 960, "vit_b_16": 768, "timm": 512, "identity": 12}


def load(name: str) -> Backbone:
    if name == "timm":
        pytest.importorskip("timm")
        name = "timm:resnet18.a1_in1k"
    if name == "open_clip":
        register()
        name = "open_clip:tiny-plain"
    return load_backbone(name, "none", dim=12)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if n in BIG else []) for n in BACKBONES.names() if not takes_rows(n)],
)
def test_a_backbone_keeps_its_contract_with_random_weights(name: str) -> None:
    backbone = load(name)
    assert backbone.name.startswith(name) and backbone.dim == DIMS.get(name, backbone.dim)
    assert (backbone.weights, backbone.weights_hash, backbone.frozen) == ("none", "none", False)
    in_groups = [id(p) for g in backbone.groups for p in g.parameters()]
    assert len(in_groups) == len(set(in_groups))
    assert set(in_groups) == {id(p) for p in backbone.module.parameters()}
    p = backbone.preprocess
    side = p.crop if p and p.fixed else 64 if p and name != "vit_b_16" else 224
    x = torch.randn(2, 3, side, side) if p else torch.randn(2, 12)
    with torch.no_grad():
        assert backbone.module.eval()(x).shape == (2, backbone.dim)
    if p:
        assert p.resize >= p.crop > 0


@pytest.mark.parametrize(
    ("name", "count"),
    [("resnet18", 5), ("alexnet", 7), ("mobilenet_v2", 7), ("mobilenet_v3_large", 6), ("timm", 6), ("identity", 0)],
)
def test_groups_run_one_after_the_other_from_input_to_output(name: str, count: int) -> None:
    backbone = load(name)
    assert len(backbone.groups) == count
    order: list[int] = []
    for number, group in enumerate(backbone.groups):
        first = next(m for m in group.modules() if not list(m.children()))
        first.register_forward_hook(lambda *_, n=number: order.append(n))
    with torch.no_grad():
        backbone.module.eval()(torch.randn(1, 3, 64, 64) if count else torch.randn(1, 12))
    assert order == list(range(count))


def test_imagenet_networks_share_the_habit_of_256_and_224() -> None:
    p = load_backbone("resnet18", "none").preprocess
    assert p == Preprocess(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), rotate180=False)
    assert p.at(112) == Preprocess(128, 112)


def test_identity_passes_features_and_needs_their_width() -> None:
    backbone = load_backbone("identity", dim=5, frozen=True)
    x = torch.randn(3, 5)
    assert backbone.dim == 5 and backbone.frozen and torch.equal(backbone.module(x), x)
    with pytest.raises(DalibError, match="give their width, dim = 0 is none"):
        load_backbone("identity")


def test_a_seed_decides_random_weights_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (load_backbone("lenet", "none", seed=s).module.state_dict() for s in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(v, again[k]) for k, v in first.items())
    assert not torch.equal(first["conv1.0.weight"], other["conv1.0.weight"])


def test_names_and_weights_that_do_not_exist_are_one_clear_line() -> None:
    for name, weights, message in [
        ("resnet5", "none", "no backbone named 'resnet5'; did you mean 'resnet50'"),
        ("resnet18", "imagnet", "no weights named 'imagnet'; did you mean 'imagenet'?"),
        ("resnet18", "net.onnx", "'net.onnx' does not end in .safetensors, .pth, .pt"),
        ("resnet18", "gone.pth", "no weights file 'gone.pth'; check the path"),
        ("mobilenet_v2", "gone.npz", "no weights file 'gone.npz'; check the path"),
        ("resnet18", "mobilenet.npz", "'mobilenet.npz' does not end in .safetensors, .pth, .pt"),
        ("identity", "net.pth", "'identity' has no weights to load from 'net.pth'"),
    ]:
        with pytest.raises(DalibError) as error:
            load_backbone(name, weights)
        assert message in str(error.value) and "\n" not in str(error.value)


def test_the_package_loads_without_torch() -> None:
    code = "import sys, dalib.backbones, dalib.core.registry as r; r.BACKBONES.names(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
