"""timm's models by prefix: groups, preparation, and errors for what is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import dalib
from dalib.backbones import load_backbone
from dalib.core.errors import DalibError
from dalib.records.store import Store


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


def test_a_transformer_is_built_for_another_crop_and_its_positions_are_interpolated(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model("test_vit")
    torch.nn.init.normal_(model.pos_embed)
    save_file(model.state_dict(), tmp_path / "vit.safetensors")
    backbone = load_backbone("timm:test_vit", str(tmp_path / "vit.safetensors"), img_size=96)
    assert backbone.preprocess is not None and backbone.preprocess.fixed
    assert (backbone.preprocess.crop, backbone.preprocess.resize) == (96, 101)
    with torch.no_grad():
        assert backbone.module.eval()(torch.randn(2, 3, 96, 96)).shape == (2, backbone.dim)
    old = model.pos_embed.detach()[0]
    grid = old[1:].reshape(10, 10, -1).numpy()
    by_pillow = [
        np.asarray(Image.fromarray(grid[..., i]).resize((6, 6), Image.Resampling.BICUBIC)) for i in range(grid.shape[2])
    ]
    new = backbone.module.pos_embed.detach()[0]  # type: ignore[index]
    assert torch.equal(new[:1], old[:1])
    np.testing.assert_allclose(new[1:].reshape(6, 6, -1), np.stack(by_pillow, -1), atol=1e-5)
    assert torch.equal(backbone.module.blocks[3].mlp.fc1.weight, model.blocks[3].mlp.fc1.weight)  # type: ignore
    same = load_backbone("timm:test_vit", str(tmp_path / "vit.safetensors"), img_size=160)
    plain = load_backbone("timm:test_vit", str(tmp_path / "vit.safetensors"))
    assert same.weights_hash == plain.weights_hash != backbone.weights_hash
    assert backbone.options == {"img_size": 96}


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("test_vit", 100, r"img_size = 100 does not fit \(it is no multiple of the patch of 16 px; 96 and 112 are\)"),
        ("test_vit", 7, r"no multiple of the patch of 16 px; 16 are"),
        ("resnet18", 96, "takes images of any size: leave img_size out and give train.crop"),
        ("test_vit", -16, "no side in pixels"),
        ("test_vit", 96.5, "no side in pixels"),
        ("test_vit", "96", "is not a number; its default is 0"),
    ],
)
def test_a_size_that_a_model_cannot_have_is_one_line(name: str, size: object, message: str) -> None:
    pytest.importorskip("timm")
    with pytest.raises(DalibError, match=message) as error:
        load_backbone(f"timm:{name}", "none", img_size=size)
    assert "\n" not in str(error.value)


def test_random_weights_do_not_depend_on_the_check_of_the_size() -> None:
    pytest.importorskip("timm")
    once, again = (load_backbone("timm:test_vit", "none", seed=3, img_size=size).module for size in (160, 0))
    assert torch.equal(once.blocks[0].attn.qkv.weight, again.blocks[0].attn.qkv.weight)  # type: ignore


@pytest.mark.parametrize("frozen", [True, False])
def test_a_suite_row_trains_a_transformer_at_a_crop_of_its_own(tmp_path: Path, frozen: bool) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "vit.safetensors")
    rng = np.random.default_rng(0)
    for domain in ("a", "b"):
        for label, colour in enumerate((40, 200)):
            folder = tmp_path / "pictures" / domain / f"class{label}"
            folder.mkdir(parents=True)
            for i in range(6):
                pixels = np.clip(rng.normal(colour, 20, (40, 40, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    (tmp_path / "suite.toml").write_text(
        f"""dataset = "image_folder"
        root = "pictures"
        tasks = ["a->b"]
        [backbone]
        name = "timm:test_vit"
        weights = "vit.safetensors"
        frozen = {str(frozen).lower()}
        options = {{ img_size = 32 }}
        [train]
        steps = 3
        batch_size = 4
        [algorithms]
        source_only = {{}}
        tuned = {{ algorithm = "lora", backbone = {{ frozen = false }} }}
        """
    )
    store = Store(tmp_path / "runs")
    done = dalib.run_suite(tmp_path / "suite.toml", store=store.root, device="cpu")
    records = [store.get(path.stem) for path in store.root.glob("??/*.json")]
    assert (done.done, done.failed, len(records)) == (2, 0, 2)
    assert all(record.spec.backbone.options == {"img_size": 32} for record in records)
