"""What weights were trained on, by name, by a plug-in's word, by what a person says."""

from __future__ import annotations

from pathlib import Path

import pytest

from dalib.backbones import load_backbone
from dalib.backbones._pretraining import find_pretraining, read_tag
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
