"""timm's models by prefix: groups, preparation, and errors for what is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from dalib.backbones import load_backbone
from dalib.core.errors import DalibError


def test_without_the_package_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(DalibError, match=r"'timm:resnet18' needs the package timm: pip install dalib-toolkit\[timm\]"):
        load_backbone("timm:resnet18", "none")


@pytest.mark.parametrize(
    ("name", "dim", "groups"),
    [("vit_tiny_patch16_224", 192, 14), ("mobilenetv3_small_050", 1024, 9), ("convnext_atto", 320, 6)],
)
def test_groups_hold_every_parameter_once_and_width_is_the_outputs(name: str, dim: int, groups: int) -> None:
    pytest.importorskip("timm")
    backbone = load_backbone(f"timm:{name}", "none")
    held = [id(p) for g in backbone.groups for p in g.parameters()]
    assert len(held) == len(set(held)) == len(list(backbone.module.parameters()))
    assert len(backbone.groups) == groups
    assert backbone.preprocess is not None and backbone.preprocess.crop == 224
    with torch.no_grad():
        assert backbone.module.eval()(torch.randn(1, 3, 224, 224)).shape == (1, dim) == (1, backbone.dim)


def test_a_state_dict_with_classifier_fits(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    model: nn.Module = timm.create_model("resnet18")
    save_file(model.state_dict(), tmp_path / "r18.safetensors")
    backbone = load_backbone("timm:resnet18.a1_in1k", str(tmp_path / "r18.safetensors"))
    assert torch.equal(backbone.module.layer4[1].conv2.weight, model.layer4[1].conv2.weight)  # type: ignore
    assert backbone.weights == "r18.safetensors" and len(backbone.weights_hash) == 64


def test_unknown_models_and_failed_downloads_are_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")
    for name, message in [
        ("timm:resnet18.a1_in1", "did you mean 'resnet18.a1_in1k'"),
        ("timm:", "no timm model named ''"),
        ("timm", "no timm model named ''"),
    ]:
        with pytest.raises(DalibError) as error:
            load_backbone(name, "none")
        assert message in str(error.value) and "\n" not in str(error.value)

    def refuse(*_: object, **options: object) -> nn.Module:
        raise OSError("no route to the hub\nsecond line")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(DalibError) as error:
        load_backbone("timm:resnet18.a1_in1k", "imagenet")
    message = str(error.value)
    assert "fetch https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors where" in message
    assert "(no route to the hub)" in message and message.endswith("weights = 'PATH/model.safetensors'")
