"""Zero-shot by a text tower: CLIP's own rule, as an algorithm, as a prior, in a model file and beside other methods."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import dalib
from dalib.backbones import load_backbone
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.model_file import load_model, save_model
from dalib.train.trainer import Trainer
from tests.support.named_pictures import task
from tests.support.tiny_clip import SCALE, save_tiny_clip

transformers = pytest.importorskip("transformers")
CONFIG = TrainConfig(steps=6, batch_size=8, bottleneck=8, evaluations=1, augment="none")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clip(tmp_path_factory.mktemp("clip") / "clip-tiny")


def backbone(folder: Path, frozen: bool = True) -> Backbone:
    return load_backbone("clip", str(folder), frozen=frozen, head=True)


def fit(algorithm: Algorithm, folder: Path, frozen: bool = True) -> Fitted:
    return Trainer(CONFIG, device="cpu").fit(algorithm, task(), backbone(folder, frozen))


def prepared() -> torch.Tensor:
    """The target's pictures as the folder's preprocessor_config.json says."""
    mean, std = (np.reshape(v, (1, 3, 1, 1)) for v in ([0.5, 0.4, 0.3], [0.2, 0.25, 0.3]))
    return torch.as_tensor((task().test.x / 255.0 - mean) / std, dtype=torch.float32)


def by_transformers(
    folder: Path, sentences: list[str], names: tuple[str, ...] = ("back pack", "cup", "bee")
) -> np.ndarray:
    """Logits of the target's pictures, computed by transformers and NumPy alone; one sentence gives CLIP's own."""
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    pixels = prepared()
    logits = []
    for name in names:
        texts = tokenizer([s.format(name) for s in sentences], padding=True, return_tensors="pt")
        with torch.no_grad():
            out = model(pixel_values=pixels, **texts)
        t = out.text_embeds.numpy().mean(0)
        logits.append(SCALE * out.image_embeds.numpy() @ t / np.linalg.norm(t))
    return np.stack(logits, axis=1)


@pytest.mark.parametrize("prompts", ["photo", "ensemble"])
def test_logits_are_those_of_transformers(folder: Path, prompts: str) -> None:
    from dalib.core.text_tower import PROMPTS

    fitted = fit(dalib.ZeroShot(prompts=prompts), folder)
    expected = by_transformers(folder, list(PROMPTS[prompts]))
    np.testing.assert_allclose(fitted.outputs(task().test).logits, expected, rtol=1e-3, atol=1e-4)
    assert np.ptp(expected, axis=1).min() > 0.005


def test_a_model_file_needs_neither_tower_nor_folder(folder: Path, tmp_path: Path) -> None:
    mine = save_tiny_clip(tmp_path / "mine")
    fitted = fit(dalib.ZeroShot(), mine)
    file = save_model(fitted, tmp_path / "zero")
    for path in mine.iterdir():
        path.unlink()
    again = load_model(file, device="cpu")
    assert torch.equal(again.outputs(task().test).logits, fitted.outputs(task().test).logits)
    assert not any("token_embedding" in name for name in again.algorithm.state_dict())


def test_the_prior_of_a_tower_is_its_probabilities_handed_on(folder: Path) -> None:
    from dalib.core.text_tower import PROMPTS
    from dalib.nn.propagation import propagate_labels

    logits = by_transformers(folder, list(PROMPTS["ensemble"]))
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    plain = fit(dalib.ZeroShotPrior(neighbours=0), folder)
    np.testing.assert_allclose(plain.algorithm.prior, p, rtol=1e-3, atol=1e-5)
    handed = fit(dalib.DANN() + dalib.ZeroShotPrior(neighbours=4), folder)
    z = plain.backbone.module.eval()(prepared())
    expected = propagate_labels(torch.as_tensor(p).double(), z.detach().double(), 4, 0.8, True)
    [prior] = [b for name, b in handed.algorithm.named_buffers() if name.endswith("prior")]
    np.testing.assert_allclose(prior, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("frozen", [True, False])
def test_distillation_learns_from_the_tower_without_a_label(folder: Path, frozen: bool) -> None:
    fitted = fit(dalib.ZeroShotDistillation(neighbours=4), folder, frozen)
    assert fitted.algorithm.prior is not None and tuple(fitted.algorithm.prior.shape) == (15, 3)
    towers = [name for name, _ in fitted.algorithm.named_parameters() if "text" in name]
    assert not towers


@pytest.mark.parametrize(
    ("name", "frozen"), [("linear_probe", True), ("coral", True), ("wise_ft", False), ("lora", False), ("mcc", True)]
)
def test_it_is_a_backbone_like_any_other(folder: Path, name: str, frozen: bool) -> None:
    cls = dalib.core.registry.ALGORITHMS.get(name)
    fitted = Trainer(CONFIG, device="cpu").fit(cls(), task(), load_backbone("clip", str(folder), frozen=frozen))
    assert fitted.outputs(task().test).logits.isfinite().all()


@pytest.mark.parametrize(
    ("algorithm", "words"),
    [
        (dalib.ZeroShot(top=3), "zero_shot.top = 3: .* its text tower, so this setting changes nothing"),
        (dalib.ZeroShotPrior(temperature=0.2), "zero_shot_prior.temperature = 0.2"),
        (dalib.ZeroShotDistillation(encoder="spelling"), "zero_shot_distillation.encoder = 'spelling'"),
    ],
)
def test_a_setting_that_changes_nothing_is_refused(folder: Path, algorithm: Algorithm, words: str) -> None:
    with pytest.raises(DalibError, match=words):
        fit(algorithm, folder)


def test_prompts_without_a_tower_and_a_tower_without_weights_are_refused(folder: Path) -> None:
    from dalib.checks.world import features_of, make_task

    with pytest.raises(DalibError, match=r"zero_shot.prompts = 'photo': .* no text tower, so this changes nothing"):
        Trainer(device="cpu").fit(
            dalib.ZeroShot(prompts="photo", encoder="spelling"), make_task(), features_of(dalib.ZeroShot)
        )
    config = {"config": backbone(folder).options["config"]}
    bare = load_backbone("clip", "none", seed=0, frozen=True, head=True, **config)
    with pytest.raises(DalibError, match="or a backbone with a text tower: clip with weights = 'FOLDER'"):
        Trainer(device="cpu").fit(dalib.ZeroShot(), task(), replace(bare, head=None))
    with pytest.raises(DalibError, match="no prompts named 'fotos'"):
        dalib.ZeroShot(prompts="fotos").check()
