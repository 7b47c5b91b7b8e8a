"""open_clip by name and a local file: its numbers are open_clip's own, and what does not fit is one line."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import dalib
from dalib.assemble import identify_weights
from dalib.backbones import load_backbone
from dalib.backbones._moments import MEAN, STD
from dalib.core.backbone import Backbone, identity
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.text_tower import PROMPTS, TextTower, encode_classes
from dalib.ranking.candidates import parse_candidates
from dalib.records.spec import BackboneSpec
from dalib.train.config import TrainConfig
from dalib.train.model_file import load_model, save_model
from dalib.train.trainer import Trainer
from tests.support.named_pictures import CLASSES, SIDE, task
from tests.support.tiny_open_clip import ARCHITECTURES, DIM, SCALE, make_model, register, save_tiny_open_clip

open_clip = pytest.importorskip("open_clip", reason="open_clip is an optional dependency (dalib-toolkit[clip])")
from dalib.backbones.open_clip import CONFIG, _find_moments, published  # noqa: E402

READ = ["tiny-plain", "tiny-plain-quickgelu", "tiny-custom", "tiny-both-ways", "tiny-resnet", "tiny-timm"]
TEXTS = ["a photo of a back pack.", "Bee &amp; Co, 1900", "a origami mug with a rather long description of it"]
CONFIG_OF_FIT = TrainConfig(steps=4, batch_size=6, bottleneck=0, evaluations=2, augment="none")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    register()
    return tmp_path_factory.mktemp("weights")


def file_of(folder: Path, name: str = "tiny-plain") -> Path:
    file = folder / f"{name}.safetensors"
    return file if file.is_file() else save_tiny_open_clip(file, name)


def load(folder: Path, name: str = "tiny-plain", **how: Any) -> Backbone:
    return load_backbone(f"open_clip:{name}", str(file_of(folder, name)), **how)


def tower_of(folder: Path, name: str = "tiny-plain") -> TextTower:
    tower = load(folder, name, head=True).text_tower
    assert tower is not None
    return tower


def tokenise(texts: list[str]) -> torch.Tensor:
    return open_clip.SimpleTokenizer()(texts)


@pytest.mark.parametrize("name", [*READ, "tiny-siglip"])
def test_image_features_are_the_projected_ones_of_open_clip(folder: Path, name: str) -> None:
    backbone = load(folder, name, frozen=True)
    x = torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(backbone.module.eval()(x), make_model(name).encode_image(x))
    assert backbone.dim == DIM and backbone.text_tower is None and backbone.pretraining == ("unknown-web",)
    p = backbone.preprocess
    assert p and (p.crop, p.resize, p.fixed, p.mean, p.std) == (SIDE, SIDE, True, MEAN, STD)
    grouped = [id(q) for group in backbone.groups for q in group.parameters()]
    assert len(grouped) == len(set(grouped)) and set(grouped) == {id(q) for q in backbone.module.parameters()}


@pytest.mark.parametrize("name", READ)
def test_text_features_are_those_of_open_clip(folder: Path, name: str) -> None:
    tower = tower_of(folder, name)
    with torch.no_grad():
        expected = make_model(name).encode_text(tokenise(TEXTS))
        torch.testing.assert_close(tower(tower.tokenise(TEXTS)), expected, rtol=1e-4, atol=1e-5)
    assert float(expected.std(0).mean()) > 0.01
    assert tower.scale == pytest.approx(SCALE) and tower.dim == DIM
    assert not any(p.requires_grad for p in tower.parameters())


@pytest.mark.parametrize("name", ["tiny-plain", "tiny-both-ways"])
@pytest.mark.parametrize("prompts", ["photo", "ensemble"])
def test_zero_shot_logits_are_those_of_open_clips_own_rule(folder: Path, name: str, prompts: str) -> None:
    """`build_zero_shot_classifier` is what open_clip evaluates its models with."""
    fitted = Trainer(CONFIG_OF_FIT, device="cpu").fit(
        dalib.ZeroShot(prompts=prompts), task(), load(folder, name, frozen=True, head=True)
    )
    model = make_model(name)
    templates = [sentence.format for sentence in PROMPTS[prompts]]
    words = ["back pack", "cup", "bee"]
    with torch.no_grad():
        heads = open_clip.build_zero_shot_classifier(model, open_clip.SimpleTokenizer(), words, templates)
        pixels = (torch.as_tensor(task().test.x) / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(
            3, 1, 1
        )
        expected = SCALE * model.encode_image(pixels.float(), normalize=True) @ heads
    np.testing.assert_allclose(fitted.outputs(task().test).logits, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("algorithm", [dalib.ZeroShotDistillation(neighbours=4), dalib.DAPL(context=2)])
def test_what_reads_class_names_learns_on_it_and_its_model_file_needs_no_weights(
    folder: Path, tmp_path: Path, algorithm: Any
) -> None:
    mine = save_tiny_open_clip(tmp_path / "mine.safetensors")
    given = load_backbone("open_clip:tiny-plain", str(mine), frozen=True, head=True)
    fitted = Trainer(CONFIG_OF_FIT, device="cpu").fit(algorithm, task(), given)
    file = save_model(fitted, tmp_path / "model")
    mine.unlink()
    logits = fitted.outputs(task().test).logits
    assert torch.equal(load_model(file, device="cpu").outputs(task().test).logits, logits) and logits.isfinite().all()


def test_the_prior_is_a_term_beside_another_method(folder: Path) -> None:
    given = load(folder, frozen=True, head=True)
    fitted = Trainer(CONFIG_OF_FIT, device="cpu").fit(dalib.DANN() + dalib.ZeroShotPrior(neighbours=0), task(), given)
    zero = Trainer(CONFIG_OF_FIT, device="cpu").fit(dalib.ZeroShot(), task(), given).outputs(task().test).logits
    [prior] = [b for name, b in fitted.algorithm.named_buffers() if name.endswith("prior")]
    torch.testing.assert_close(prior, zero.softmax(1).to(prior), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["tiny-plain", "tiny-both-ways"])
def test_learnt_vectors_stand_where_a_hook_of_open_clip_puts_them(folder: Path, name: str) -> None:
    algorithm = dalib.DAPL(context=2, domain_context=1)
    algorithm.attach(Network(_features(folder, name), 3, bottleneck=0))
    algorithm.read_names(CLASSES, "web", "video")
    for i, learnt in enumerate((algorithm.own, algorithm.shared)):
        torch.nn.init.normal_(learnt, std=0.5, generator=torch.Generator().manual_seed(i))
    model, expected = make_model(name), []
    for k, word in enumerate(("back pack", "cup", "bee")):
        learnt = torch.cat([algorithm.own[k], algorithm.shared[1]]).detach()
        ids = tokenise([f"{word} , a video image.."])
        ids = torch.cat([ids[:, :1], torch.full((1, 3), 5), ids[:, 1:-3]], dim=1)

        def put(_module: Any, _args: Any, out: torch.Tensor, learnt: torch.Tensor = learnt) -> torch.Tensor:
            return torch.cat([out[:, :1], learnt[None].to(out), out[:, 4:]], dim=1)

        text = getattr(model, "text", model)
        hook = text.token_embedding.register_forward_hook(put)
        with torch.no_grad():
            expected.append(model.encode_text(ids)[0])
        hook.remove()
    with torch.no_grad():
        torch.testing.assert_close(algorithm.encode_prompts(1), torch.stack(expected), rtol=1e-4, atol=1e-5)


def _features(folder: Path, name: str) -> Backbone:
    made = identity(DIM)
    made.text_tower = tower_of(folder, name)
    return made


@pytest.mark.parametrize("name", ["tiny-plain", "tiny-both-ways"])
def test_prompts_that_leave_no_room_are_refused(folder: Path, name: str) -> None:
    algorithm = dalib.DAPL(context=60, domain_context=16)
    algorithm.attach(Network(_features(folder, name), 3, bottleneck=0))
    with pytest.raises(DalibError, match=r"and 76 learnt ones are more than the 77 that the text tower reads"):
        algorithm.read_names(CLASSES, "web", "video")


@pytest.mark.parametrize(("name", "frozen"), [("linear_probe", True), ("wise_ft", False), ("lora", False)])
def test_it_is_a_backbone_like_any_other(folder: Path, name: str, frozen: bool, tmp_path: Path) -> None:
    cls = dalib.core.registry.ALGORITHMS.get(name)
    fitted = Trainer(CONFIG_OF_FIT, device="cpu").fit(cls(), task(), load(folder, frozen=frozen))
    logits = fitted.outputs(task().test).logits
    again = load_model(save_model(fitted, tmp_path / "model"), device="cpu")
    torch.testing.assert_close(again.outputs(task().test).logits, logits)


def test_a_file_of_a_training_program_and_half_precision_are_read(folder: Path, tmp_path: Path) -> None:
    expected = load(folder).module.state_dict()
    with pytest.warns(UserWarning, match="'state_dict', 'module.'"):
        old = load_backbone("open_clip:tiny-plain", str(save_tiny_open_clip(tmp_path / "epoch_3.pt")), head=True)
    assert all(torch.equal(v, old.module.state_dict()[k]) for k, v in expected.items())
    save_file({k: v.half() for k, v in load_file(file_of(folder)).items()}, tmp_path / "half.safetensors")
    half = load_backbone("open_clip:tiny-plain", str(tmp_path / "half.safetensors"), head=True)
    assert {p.dtype for p in half.module.parameters()} == {torch.float32}
    assert half.text_tower and {p.dtype for p in half.text_tower.parameters()} == {torch.float32}


def test_weights_of_the_plain_sort_go_into_an_architecture_with_a_text_half_of_its_own(folder: Path) -> None:
    """As open_clip renames them: `positional_embedding` -> `text.positional_embedding`."""
    file = file_of(folder)
    one, other = (load_backbone(f"open_clip:{n}", str(file), head=True).text_tower for n in READ[:3:2])
    assert one and other
    with torch.no_grad():
        torch.testing.assert_close(other(other.tokenise(TEXTS)), one(one.tokenise(TEXTS)))


def test_a_key_knows_weights_and_the_text_half(folder: Path, tmp_path: Path) -> None:
    spec = BackboneSpec(name="open_clip:tiny-plain", weights="x", frozen=True)
    plain, read = (identify_weights(spec, load(folder, head=head)).hash for head in (False, True))
    state = load_file(file_of(folder))
    state["token_embedding.weight"][0] += 1
    save_file(state, tmp_path / "other.safetensors")
    other = load_backbone("open_clip:tiny-plain", str(tmp_path / "other.safetensors"), head=True)
    changed = identify_weights(spec, other).hash
    assert read.startswith(f"{plain}+") and changed.startswith(f"{plain}+") and changed != read


def test_a_file_that_is_not_all_there_is_one_line(folder: Path, tmp_path: Path) -> None:
    state = load_file(file_of(folder))
    image = {k.removeprefix("visual."): v for k, v in state.items() if k.startswith("visual.")}
    for number, (changed, words) in enumerate(
        [
            ({k: v for k, v in state.items() if k != "ln_final.bias"}, "do not fit .*: missing ln_final.bias; give"),
            (state | {"ln_last.bias": torch.ones(3)}, "unexpected ln_last.bias"),
            (state | {"ln_final.bias": torch.ones(3)}, "of another shape ln_final.bias"),
            (image, "missing .*positional_embedding"),
            ({}, "holds nothing"),
            (state | {"logit_scale": torch.tensor(200.0)}, r"multiplies cosines by exp\(200\); take another"),
            (state | {"logit_bias": torch.tensor(-10.0)}, "unexpected logit_bias"),
            (state | {"ln_final.bias": torch.full((16,), torch.nan)}, "holds NaN or infinity in ln_final.bias"),
        ]
    ):
        save_file(changed, tmp_path / f"{number}.safetensors")
        with pytest.raises(DalibError, match=words) as caught:
            load_backbone("open_clip:tiny-plain", str(tmp_path / f"{number}.safetensors"))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "weights", "words"),
    [
        ("tiny-plain", "imagenet", "has no weights of its own, nor of ImageNet: give a file that open_clip wrote"),
        ("tiny-plain", "FILE", "has no weights of its own"),
        ("tiny-plain", "nowhere.pt", "no weights file 'nowhere.pt'"),
        ("tiny-plain", "laion2b_s34b_b79k", "no weights named 'laion2b_s34b_b79k'"),
        ("tiny-plian", "none", "no open_clip model named 'tiny-plian'; did you mean 'tiny-plain'"),
        ("hf-hub:timm/ViT-B-16", "none", "no open_clip model named 'hf-hub:timm/ViT-B-16'"),
        ("", "none", "no open_clip model named ''"),
        ("tiny-coca", "none", "'open_clip:tiny-coca' writes texts too"),
        ("tiny-hf", "none", "'open_clip:tiny-hf' reads texts by roberta-base, which open_clip downloads"),
    ],
)
def test_what_cannot_be_built_is_one_line(folder: Path, name: str, weights: str, words: str) -> None:
    with pytest.raises(DalibError, match=words) as caught:
        load_backbone(f"open_clip:{name}", weights)
    assert "\n" not in str(caught.value)


def test_a_folder_is_told_of_its_file(folder: Path) -> None:
    with pytest.raises(DalibError, match="is a folder; give the file of weights in it"):
        load_backbone("open_clip:tiny-plain", str(folder))


def test_a_bias_of_logits_may_be_missing_as_open_clip_has_it(folder: Path, tmp_path: Path) -> None:
    state = load_file(file_of(folder, "tiny-siglip"))
    save_file({k: v for k, v in state.items() if k != "logit_bias"}, tmp_path / "mine.safetensors")
    mine = load_backbone("open_clip:tiny-siglip", str(tmp_path / "mine.safetensors"))
    assert mine.weights_hash == load(folder, "tiny-siglip").weights_hash


def test_names_that_cannot_be_read_are_one_line(folder: Path) -> None:
    for names, words in [
        (("cup", "_"), "class '_' has no word that the tokenizer of open_clip:tiny-plain"),
        (("cup " * 80,), r"reads 77 tokens, and 'a photo of a cup .*' has 8\d; give a shorter name"),
        (("bee", "Cup", "cup"), "classes 'Cup' and 'cup' are the same to open_clip:tiny-plain"),
    ]:
        with pytest.raises(DalibError, match=words):
            encode_classes(tower_of(folder), names, "photo")
    for text in ("cup <End_of_text> mug", "cup &lt;start_of_text&gt;"):
        with pytest.raises(DalibError, match="holds <start_of_text> or <end_of_text>, which begin and end a text"):
            tower_of(folder).tokenise(["bee", text])
    with pytest.raises(DalibError, match=r"by a tokenizer that open_clip downloads .*'nobody/has-it'"):
        encode_classes(tower_of(folder, "tiny-siglip"), CLASSES, "photo")


def test_random_weights_have_no_text_tower(folder: Path) -> None:
    one, same, other = (load_backbone("open_clip:tiny-plain", "none", seed=s, head=True) for s in (0, 0, 1))
    states = [b.module.state_dict()["proj"] for b in (one, same, other)]
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])
    assert one.text_tower is None and one.weights_hash == "none" and one.pretraining == ()


def beside(folder: Path, model: object, **prepared: object) -> Path:
    (folder / CONFIG).write_text(json.dumps({"model_cfg": model, "preprocess_cfg": prepared}))
    return folder / "open_clip_model.safetensors"


def test_what_stands_beside_the_file_is_heeded(folder: Path, tmp_path: Path) -> None:
    plain = ARCHITECTURES["tiny-plain"]
    file = beside(tmp_path, plain | {"init_logit_scale": 2.0}, mean=[0.5, 0.4, 0.3], std=[0.2, 0.2, 0.3])
    save_tiny_open_clip(file)
    p = load_backbone("open_clip:tiny-plain", str(file)).preprocess
    assert p and p.mean == (0.5, 0.4, 0.3) and p.std == (0.2, 0.2, 0.3)
    text, vision = plain["text_cfg"], plain["vision_cfg"]
    for model, words in [
        (plain | {"quick_gelu": True}, "says quick_gelu = True, and open_clip:tiny-plain has False; name the"),
        (plain | {"text_cfg": text | {"heads": 4}}, "says text_cfg.heads = 4, and open_clip:tiny-plain has 2"),
        (plain | {"vision_cfg": vision | {"head_width": 4}}, "says vision_cfg.head_width = 4"),
        (plain | {"vision_cfg": vision | {"norm_kwargs": {"eps": 1e-3}}}, "says vision_cfg.norm_kwargs"),
        (3, "has no model_cfg with vision_cfg and text_cfg"),
        ({"vision_cfg": 3, "text_cfg": {}}, "has no model_cfg with vision_cfg and text_cfg"),
    ]:
        beside(tmp_path, model)
        with pytest.raises(DalibError, match=words):
            load_backbone("open_clip:tiny-plain", str(file))
    for moments in ({"mean": 0.5}, {"std": [0, 1, 1]}, {"mean": ["a", "b", "c"]}):
        beside(tmp_path, plain, **moments)
        with pytest.raises(DalibError, match="mean and std need three numbers each, std above 0"):
            load_backbone("open_clip:tiny-plain", str(file))
    (tmp_path / CONFIG).write_text("{")
    with pytest.raises(DalibError, match="is no JSON"):
        load_backbone("open_clip:tiny-plain", str(file))


def test_the_name_of_a_published_file_tells_activation_and_preparation() -> None:
    plain, quick = {"quick_gelu": False}, {"quick_gelu": True}
    for name, settings, file, words in [
        ("ViT-B-32", plain, "ViT-B-32-openai.pt", "after the weights 'openai', which were trained with quick_gelu"),
        ("ViT-B-32", plain, "vit_b_32-quickgelu-laion400m_e32-46683a32.pt", "take open_clip:ViT-B-32-quickgelu"),
    ]:
        with pytest.raises(DalibError, match=words):
            _find_moments(f"open_clip:{name}", settings, Path(file))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _find_moments("open_clip:ViT-B-32-quickgelu", quick, Path("ViT-B-32-openai.pt")) == (MEAN, STD)
        half = (0.5, 0.5, 0.5)
        assert _find_moments("open_clip:ViT-L-14", plain, Path("L-14-laion2b_s32b_b82k.bin")) == (half, half)
        assert _find_moments("open_clip:ViT-B-16-SigLIP", plain, Path("mine.bin")) == (half, half)
    with pytest.warns(UserWarning, match="nobody says whether these weights were trained with quick_gelu"):
        assert _find_moments("open_clip:ViT-B-32", plain, Path("mine.bin")) == (MEAN, STD)


def test_no_published_weights_are_refused_under_both_names_of_their_architecture() -> None:
    """One of the two names takes them, whatever open_clip publishes them under."""
    for name in open_clip.list_models():
        if "hf_model_name" in open_clip.get_model_config(name)["text_cfg"]:
            continue
        for tag in published(f"open_clip:{name}"):
            twins = (name, f"{name}-quickgelu", name.removesuffix("-quickgelu"))
            taken = 0
            for twin in filter(open_clip.get_model_config, twins):
                try:
                    _find_moments(f"open_clip:{twin}", open_clip.get_model_config(twin), Path(f"x-{tag}.pt"))
                    taken += 1
                except DalibError:
                    pass
            assert taken, (name, tag)


def test_rank_takes_it_with_its_file() -> None:
    [one] = parse_candidates(["open_clip:ViT-B-32:some/file.safetensors"])
    assert (one.name, one.weights, one.label) == (
        "open_clip:ViT-B-32",
        "some/file.safetensors",
        "open_clip:ViT-B-32:file.safetensors",
    )
