"""What weights were trained on, by name, by a plug-in's word, by what a person says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dalib.backbones import load_backbone
from dalib.backbones._pretraining import check_pretraining, find_pretraining, read_tag
from dalib.core.errors import DalibError
from dalib.core.registry import BACKBONES, load_plugin
from dalib.core.rows import RowShape


@pytest.mark.parametrize(
    ("name", "weights", "seen"),
    [
        ("resnet50", "imagenet", ("imagenet-1k",)),
        ("resnet50", "none", ()),
        ("resnet50", "/data/mine.pth", ("unknown",)),
        ("mobilenet_v2@13", "/data/mobilenetv2_imagenet_int8.npz", ("imagenet-1k",)),
        ("tiny", "pretrained", ("drawn-objects",)),
        ("mlp", "imagenet", ()),
        ("identity", "none", ()),
        ("timm:tf_efficientnet_lite0.in1k", "imagenet", ("imagenet-1k",)),
        ("timm:tf_efficientnet_lite0", "imagenet", ("unknown",)),
        ("timm:tf_efficientnet_lite0", "lite0_fp16.safetensors", ("unknown",)),
    ],
)
def test_names_say_what_was_seen_and_nothing_is_guessed(name: str, weights: str, seen: tuple[str, ...]) -> None:
    assert find_pretraining(name, weights) == seen


@pytest.mark.parametrize(
    ("tag", "seen"),
    [
        ("augreg_in21k_ft_in1k", ("imagenet-21k", "imagenet-1k")),
        ("clip_laion2b_augreg_ft_in12k_in1k", ("laion-2b", "imagenet-12k", "imagenet-1k")),
        ("openai_ft_in1k", ("unknown-web", "imagenet-1k")),
        ("fb_swsl_ig1b_ft_in1k", ("unknown-web", "imagenet-1k")),
        ("swag_ft_in1k", ("unknown", "imagenet-1k")),
        ("ft_in1k", ("imagenet-1k",)),
        ("mae", ("unknown",)),
        ("", ("unknown",)),
    ],
)
def test_a_tag_of_timm_is_read_in_its_order(tag: str, seen: tuple[str, ...]) -> None:
    assert read_tag(tag) == seen


def test_a_loaded_backbone_has_it_and_timm_is_asked_for_the_tag_of_a_bare_name() -> None:
    timm = pytest.importorskip("timm")
    assert load_backbone("tiny", "pretrained").pretraining == ("drawn-objects",)
    assert load_backbone("tiny", "none").pretraining == ()
    assert timm.get_pretrained_cfg("resnet18").tag and load_backbone("timm:resnet18", "none").pretraining == ()


def test_modalities_have_seen_what_their_encoders_have() -> None:
    rows = RowShape(fields={"image": RowShape((3, 64, 64)), "table": RowShape((5,))})
    made = load_backbone("modalities", "none", rows=rows)
    assert made.pretraining == ("drawn-objects",)
    assert find_pretraining("modalities", "none", {"encoders": {"image": "tiny", "table": "mlp"}}) == made.pretraining


def test_a_plug_in_says_it_itself(tmp_path: Path) -> None:
    path = tmp_path / "mine_seen.py"
    path.write_text(
        '"""Mine."""\nPRETRAINING = {"imagenet": ("holidays", "imagenet-1k")}\n\n\ndef build(name, weights):\n    ...\n'
    )
    load_plugin(path)
    try:
        assert find_pretraining("mine_seen", "imagenet") == ("holidays", "imagenet-1k")
        assert find_pretraining("mine_seen", "x.pth") == ("unknown",)
    finally:
        BACKBONES.remove("mine_seen")


@pytest.mark.parametrize(
    "name", ["imagenet1k", "imagnet-1k", "ImageNet-1k", "unknown_web", "own:", "hospital-2024", ""]
)
def test_a_name_that_nobody_knows_is_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(DalibError, match=f"no pretraining named '{name}'.*imagenet-1k.*or own:NAME for data") as caught:
        load_backbone("tiny", "none", pretraining=[name])
    assert "\n" not in str(caught.value)


def test_known_names_and_ones_own_pass() -> None:
    check_pretraining(["imagenet-21k", "unknown-web", "drawn-objects", "unknown", "own:hospital-2024"])
    assert load_backbone("tiny", "none", pretraining=["own:hospital-2024"]).pretraining == ("own:hospital-2024",)


@pytest.mark.parametrize("place", ["suite", "row"])
def test_a_suite_and_a_run_refuse_it_before_anything_is_trained(place: str, tmp_path: Path) -> None:
    import dalib

    x, y = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32), np.arange(12) % 2
    np.savez(tmp_path / "rows.npz", a_x=x, a_y=y, b_x=x, b_y=y)
    data, settings = f"features:{tmp_path / 'rows.npz'}", 'pretraining = ["imagenet1k"]\n'
    rows = f"[algorithms]\nsource_only = {{ backbone = {{ {settings.strip()} }} }}\n"
    if place == "suite":
        rows = f"[backbone]\n{settings}[algorithms]\nsource_only = {{}}\n"
    (tmp_path / "s.toml").write_text(f'title = "t"\ndataset = "{data}"\ntasks = ["a->b"]\nseeds = [0]\n{rows}')
    with pytest.raises(DalibError, match="no pretraining named 'imagenet1k'; did you mean 'imagenet-1k'"):
        dalib.run_suite(tmp_path / "s.toml", store=tmp_path / "runs")
    with pytest.raises(DalibError, match="no pretraining named 'imagenet1k'"):
        dalib.fit(data, "a", "b", "source_only", backbone={"name": "identity", "pretraining": ["imagenet1k"]})


def test_a_plug_in_that_nearly_names_a_known_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nearly_seen.py"
    path.write_text(
        '"""Mine."""\nfrom dalib.backbones.tiny import build as tiny\nPRETRAINING = {"imagenet": ("imagnet-1k",)}\n\n\n'
        "def build(name, weights):\n    return tiny(name, 'none')\n"
    )
    load_plugin(path)
    try:
        with pytest.raises(DalibError, match="PRETRAINING of backbone nearly_seen says 'imagnet-1k'; did you mean"):
            load_backbone("nearly_seen", "imagenet")
    finally:
        BACKBONES.remove("nearly_seen")
