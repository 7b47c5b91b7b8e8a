"""CLIP from a folder: its numbers are transformers' own, and what the folder lacks is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dalib.assemble import identify_weights
from dalib.backbones import load_backbone
from dalib.backbones.clip import read_preparation
from dalib.core.errors import DalibError
from dalib.core.text_tower import PROMPTS, TextTower, check_prompts, encode_classes
from dalib.records.spec import BackboneSpec
from tests.support.named_pictures import SIDE
from tests.support.tiny_clip import DIM, SCALE, WORDS, save_tiny_clip, save_tokenizer

transformers = pytest.importorskip("transformers")
NAMES = ("back_pack", "cup", "bee")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clip(tmp_path_factory.mktemp("clip") / "clip-tiny")


def tower_of(folder: Path) -> TextTower:
    tower = load_backbone("clip", str(folder), head=True).text_tower
    assert tower is not None
    return tower


def by_transformers(folder: Path, texts: list[str]) -> np.ndarray:
    """Text features one at a time, without padding."""
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = []
    for text in texts:
        with torch.no_grad():
            out = model.get_text_features(input_ids=tokenizer([text], return_tensors="pt")["input_ids"])
        rows.append((out if isinstance(out, torch.Tensor) else out.pooler_output)[0].numpy())
    return np.stack(rows)


def test_image_features_are_the_projected_ones_of_transformers(folder: Path) -> None:
    backbone = load_backbone("clip", str(folder), frozen=True)
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    x = torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = model.get_image_features(pixel_values=x)
        expected = out if isinstance(out, torch.Tensor) else out.pooler_output
        torch.testing.assert_close(backbone.module.eval()(x), expected)
    assert backbone.dim == DIM and backbone.text_tower is None and backbone.pretraining == ("unknown-web",)
    p = backbone.preprocess
    assert p and (p.crop, p.resize, p.fixed, p.mean, p.std) == (SIDE, SIDE, True, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def test_a_folder_that_tells_no_preparation_gets_clips_own(tmp_path: Path) -> None:
    from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

    mine = save_tiny_clip(tmp_path / "mine")
    (mine / "preprocessor_config.json").unlink()
    p = load_backbone("clip", str(mine), frozen=True).preprocess
    assert p and p.mean == pytest.approx(OPENAI_CLIP_MEAN) and p.std == pytest.approx(OPENAI_CLIP_STD)


def test_text_features_are_those_of_transformers_whatever_stands_beside_them(folder: Path) -> None:
    texts = ["a photo of a cup.", "bee", "a origami back pack, a bad image of the web camera"]
    tower = tower_of(folder)
    with torch.no_grad():
        np.testing.assert_allclose(tower(tower.tokenise(texts)), by_transformers(folder, texts), rtol=1e-4, atol=1e-5)
    assert (
        tower.scale == pytest.approx(SCALE)
        and tower.dim == DIM
        and not any(p.requires_grad for p in tower.parameters())
    )


@pytest.mark.parametrize("prompts", ["photo", "ensemble", "art of {} in a video"])
def test_a_class_is_the_mean_of_its_unit_sentences(folder: Path, prompts: str) -> None:
    expected = []
    for name in ("back pack", "cup", "bee"):
        t = by_transformers(folder, [s.format(name) for s in PROMPTS.get(prompts, (prompts,))])
        mean = (t / np.linalg.norm(t, axis=1, keepdims=True)).mean(0)
        expected.append(mean / np.linalg.norm(mean))
    np.testing.assert_allclose(encode_classes(tower_of(folder), NAMES, prompts), expected, rtol=1e-4, atol=1e-5)


def test_a_key_knows_weights_and_tokenizer_of_the_tower(folder: Path, tmp_path: Path) -> None:
    spec = BackboneSpec(name="clip", weights=str(folder), frozen=True)
    plain, read = (identify_weights(spec, load_backbone("clip", str(folder), head=head)).hash for head in (False, True))
    assert read.startswith(f"{plain}+")
    other = save_tiny_clip(tmp_path / "other")
    facts = json.loads((other / "tokenizer.json").read_text())
    facts["model"]["vocab"] |= {"cup": facts["model"]["vocab"]["mug"], "mug": facts["model"]["vocab"]["cup"]}
    (other / "tokenizer.json").write_text(json.dumps(facts))
    changed = identify_weights(spec, load_backbone("clip", str(other), head=True)).hash
    assert changed.startswith(f"{plain}+") and changed != read


def test_what_a_folder_lacks_is_one_line(folder: Path, tmp_path: Path) -> None:
    bare = save_tiny_clip(tmp_path / "bare", tokenizer=False)
    vision = tmp_path / "vision"
    transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1)
    ).save_pretrained(vision)
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "bert"}')
    for weights, words in [
        ("imagenet", "has no weights of its own, nor of ImageNet: give a folder"),
        (str(tmp_path / "nowhere"), "no CLIP in"),
        (str(vision), "the image half alone, which has no text tower"),
        (str(tmp_path / "bert"), "holds a bert"),
    ]:
        with pytest.raises(DalibError, match=words) as caught:
            load_backbone("clip", weights)
        assert "\n" not in str(caught.value)
    with pytest.raises(DalibError, match=r"has no tokenizer, so clip.* reads no class names"):
        encode_classes(tower_of(bare), NAMES, "photo")
    for names, words in [
        (("cup", "☃"), "class '☃' has no word that the tokenizer of clip"),
        (("cup", "zebra"), "class 'zebra' has no word"),
        (("cup " * 20,), "reads 16 tokens, and 'a photo of a cup"),
    ]:
        with pytest.raises(DalibError, match=words):
            encode_classes(tower_of(folder), names, "photo")
    with pytest.raises(DalibError, match="no prompts named 'ensembel'; did you mean 'ensemble'"):
        check_prompts("ensembel")
    preprocess = load_backbone("clip", str(folder)).preprocess
    with pytest.raises(DalibError, match=f"crop = 64 does not fit this backbone: it takes {SIDE} px only"):
        assert preprocess
        preprocess.at(64)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("{", "is no JSON"),
        ("[]", "holds no object"),
        ('{"image_mean": 0.5}', "need three numbers each, std above 0; they are 0.5"),
        ('{"image_mean": null}', "need three numbers each"),
        ('{"image_mean": ["a", "b", "c"]}', "need three numbers each"),
        ('{"image_mean": [NaN, 0, 0]}', "need three numbers each"),
        ('{"image_std": [0, 0.2, 0.2]}', "std above 0"),
        ('{"image_std": [true, true, true]}', "need three numbers each"),
        ('{"do_normalize": false}', "otherwise than"),
        ('{"image_mean": [120, 110, 100], "do_rescale": false}', "otherwise than"),
        ('{"rescale_factor": 0.0078125}', "otherwise than"),
        ('{"rescale_factor": "1/255"}', "otherwise than"),
    ],
)
def test_a_preparation_that_is_not_carried_out_is_refused(folder: Path, told: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(told)
    with pytest.raises(DalibError, match=words):
        read_preparation(tmp_path)


def test_the_preparation_is_read_as_any_version_of_transformers_saves_it(tmp_path: Path) -> None:
    mine = save_tiny_clip(tmp_path / "mine")
    (mine / "preprocessor_config.json").unlink()
    pictures = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "rescale_factor": 0.00392156862745098}
    (mine / "processor_config.json").write_text(json.dumps({"image_processor": pictures}))
    assert read_preparation(mine) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    (mine / "processor_config.json").write_text(json.dumps({"processor_class": "CLIPProcessor"}))
    (mine / "preprocessor_config.json").write_text(json.dumps(pictures | {"do_normalize": True}))
    assert read_preparation(mine) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def edit(folder: Path, file: str, **changes: object) -> Path:
    facts = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({k: v for k, v in {**facts, **changes}.items() if v is not None}))
    return folder


def test_a_tokenizer_pads_behind_the_end_whatever_it_says_of_padding(folder: Path, tmp_path: Path) -> None:
    expected = encode_classes(tower_of(folder), NAMES, "ensemble")
    for change in ({"padding_side": "left"}, {"pad_token": None}):
        mine = edit(save_tiny_clip(tmp_path / next(iter(change))), "tokenizer_config.json", **change)
        torch.testing.assert_close(encode_classes(tower_of(mine), NAMES, "ensemble"), expected)


def test_a_tokenizer_that_ends_no_text_where_the_model_looks_for_it_is_refused(folder: Path, tmp_path: Path) -> None:
    endless = edit(save_tiny_clip(tmp_path / "endless"), "tokenizer.json", post_processor=None)
    other = save_tiny_clip(tmp_path / "other")
    text = json.loads((other / "config.json").read_text())["text_config"]
    edit(other, "config.json", text_config=text | {"eos_token_id": 25})
    old = save_tiny_clip(tmp_path / "old")
    edit(old, "config.json", text_config=text | {"eos_token_id": 2})
    for mine in (endless, other, old):
        with pytest.raises(DalibError, match=r"does not end a text as the model's config.json has it"):
            encode_classes(tower_of(mine), NAMES, "photo")
    nothing = edit(save_tiny_clip(tmp_path / "nothing"), "tokenizer_config.json", eos_token=None, pad_token=None)
    with pytest.raises(DalibError, match="has no token that ends a text"):
        encode_classes(tower_of(nothing), NAMES, "photo")


def test_a_name_that_ends_a_text_is_refused(folder: Path) -> None:
    with pytest.raises(DalibError, match=r"'a photo of a cup </s> bee.' holds </s>, which begins or ends a text"):
        tower_of(folder).tokenise(["a photo of a cup </s> bee."])


def test_the_text_before_an_end_of_the_old_sort_is_what_transformers_reads(tmp_path: Path) -> None:
    """Old configs say eos_token_id = 2 and mean the highest id of a text, as CLIP's own files do."""
    mine, words = save_tiny_clip(tmp_path / "mine"), list(WORDS)
    last = len(words) - 1
    words[3], words[last] = words[last], words[3]
    save_tokenizer(mine, words)
    config = json.loads((mine / "config.json").read_text())
    edit(mine, "config.json", text_config=config["text_config"] | {"eos_token_id": 2})
    texts = ["a photo of a cup.", "bee"]
    tower = tower_of(mine)
    assert int(tower.tokenise(texts).max()) == last
    with torch.no_grad():
        np.testing.assert_allclose(tower(tower.tokenise(texts)), by_transformers(mine, texts), rtol=1e-4, atol=1e-5)


def test_a_config_of_no_clip_is_one_line() -> None:
    for config in ({"vision_config": 3}, {"projection_dim": "x"}, {"projection_dim": -3}):
        with pytest.raises(DalibError, match=r"clip.config describes no CLIP") as caught:
            load_backbone("clip", "none", config=config)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"projection_dmi": 8}, "no setting of clip.config named 'projection_dmi'; did you mean 'projection_dim'"),
        (
            {"vision_config": {"hiden_size": 8}},
            "no setting of clip.config.vision_config named 'hiden_size'; did you mean 'hidden_size'",
        ),
        ({"text_config": {"layers": 1}}, "no setting of clip.config.text_config named 'layers'"),
        ({"to_dict": 1}, "no setting of clip.config named 'to_dict'"),
        ({3: 1}, "no setting of clip.config named '3'"),
        ({"model_type": "bert"}, "no clip.config.model_type named 'bert'"),
    ],
)
def test_a_setting_that_nobody_reads_is_refused(config: dict[Any, Any], words: str) -> None:
    with pytest.raises(DalibError, match=words) as caught:
        load_backbone("clip", "none", config=config)
    assert "\n" not in str(caught.value)


def test_what_transformers_wrote_may_hold_keys_of_its_other_versions(folder: Path) -> None:
    config = dict(load_backbone("clip", str(folder)).options["config"])
    assert load_backbone("clip", "none", config=config | {"num_beams": 1, "pruned_heads": {}}).dim == DIM


def test_a_config_beside_a_folder_is_refused(folder: Path) -> None:
    with pytest.raises(DalibError, match=r"clip.config is for weights = 'none'; the folder .* has its own"):
        load_backbone("clip", str(folder), config={"projection_dim": 8})


def test_a_folder_whose_config_is_none_is_one_line(tmp_path: Path) -> None:
    for content in ("{", "[]", "null"):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(DalibError, match=r"config.json (is no JSON|holds no object)"):
            load_backbone("clip", str(tmp_path))


def test_two_names_that_are_the_same_to_the_tokenizer_are_refused(folder: Path) -> None:
    with pytest.raises(DalibError, match=r"classes 'cup zebra' and 'cup lion' are the same to clip, weights"):
        encode_classes(tower_of(folder), ("bee", "cup zebra", "cup lion"), "photo")
