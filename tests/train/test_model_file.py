"""A model file predicts what the fitted model predicted, and a wrong file is one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dalib.checks.world import DIM, make_task
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import identity
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.network import Network
from dalib.core.registry import ALGORITHMS, BACKBONES
from dalib.estimator.regressor import AdaptationRegressor
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.model_file import load_model, read_facts, save_model
from dalib.train.trainer import Trainer
from tests.support.image_world import Plain, make_backbone, make_image_task, recipe


class Shifted(FeatureAlgorithm):
    """Source rows moved by the difference of the means; target rows as they are, scaled by a buffer."""

    def __init__(self, classifier: str = "logistic", C: float = 1.0) -> None:
        super().__init__()
        self.classifier = classifier
        self.C = C

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        self.register_buffer("scale", z_t.std(0))
        return (z_s - z_s.mean(0) + z_t.mean(0)) / self.scale

    def project(self, z: Tensor) -> Tensor:
        return z / self.scale


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ALGORITHMS, "_extra", {**ALGORITHMS._extra, "plain": Plain, "shifted": Shifted})
    monkeypatch.setattr(BACKBONES, "_extra", {**BACKBONES._extra, "small": lambda name, weights: make_backbone()})


@pytest.mark.parametrize("frozen", [False, True], ids=["trained", "frozen"])
@pytest.mark.parametrize("algorithm", [Plain(), Shifted(), Shifted("nearest")], ids=["deep", "logistic", "nearest"])
def test_a_saved_model_predicts_the_same_from_images(algorithm: Algorithm, frozen: bool, tmp_path: Path) -> None:
    task, backbone = make_image_task(), make_backbone(frozen=frozen)
    with torch.no_grad():
        backbone.module[0][0].weight.mul_(1.3)  # weights that no builder makes
    fitted = Trainer(recipe(crop=10), device="cpu").fit(algorithm, make_image_task(side=12), backbone)
    name = "plain" if isinstance(algorithm, Plain) else "shifted"
    path = save_model(fitted, tmp_path / "deep" / "model", name, {"task": task.name})
    assert path.name == "model.safetensors"
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"]
    loaded = load_model(path, device="cpu")
    domain = make_image_task(side=12).test
    assert torch.equal(loaded.outputs(domain).logits, fitted.outputs(domain).logits)
    assert loaded.classes == ("red", "green", "blue")
    assert read_facts(path)["extra"] == {"task": task.name}


def test_a_saved_feature_model_keeps_width_and_hyperparameters(tmp_path: Path) -> None:
    fitted = Trainer(recipe(), device="cpu").fit(Shifted("nearest", 0.25), make_task(), identity(DIM))
    loaded = load_model(save_model(fitted, tmp_path / "m.safetensors", "shifted"), device="cpu")
    assert loaded.algorithm.hparams == {"classifier": "nearest", "C": 0.25}
    assert loaded.backbone.dim == DIM


@pytest.mark.parametrize("name", ["dann", "dann+mcc"])
def test_a_saved_model_names_its_algorithm_itself(name: str, tmp_path: Path) -> None:
    fitted = Trainer(recipe(steps=1), device="cpu").fit(ALGORITHMS.get(name)(), make_task(), identity(DIM))
    path = save_model(fitted, tmp_path / "m")
    assert read_facts(path)["algorithm"] == name
    assert torch.equal(
        load_model(path, "cpu").outputs(make_task().test).logits, fitted.outputs(make_task().test).logits
    )


def test_an_algorithm_without_a_name_is_not_saved(tmp_path: Path) -> None:
    class Nameless(Algorithm):
        """Supervises, and no registry knows it."""

    for algorithm in (Nameless(), Nameless() + ALGORITHMS.get("mcc")()):
        fitted = Trainer(recipe(steps=1), device="cpu").fit(algorithm, make_task(), identity(DIM))
        with pytest.raises(DalibError, match=r"is not registered, .*ALGORITHMS\.add") as caught:
            save_model(fitted, tmp_path / "m")
        assert "\n" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("thing", [AdaptationRegressor("mmd"), Network.on_features(DIM, 2)])
def test_what_is_no_fitted_model_is_told_what_is(thing: Any, tmp_path: Path) -> None:
    with pytest.raises(DalibError, match=rf"{type(thing).__name__} is no fitted model; give what Trainer.fit returns"):
        save_model(thing, tmp_path / "m")


def test_wrong_files_are_one_clear_line(tmp_path: Path) -> None:
    text, foreign = tmp_path / "text.safetensors", tmp_path / "foreign.safetensors"
    text.write_text("hello")
    save_file({"w": torch.zeros(2)}, foreign)
    fitted = Trainer(recipe(steps=1), device="cpu").fit(Plain(), make_task(), identity(DIM))
    stranger = save_model(fitted, tmp_path / "stranger", "plan")
    for path, words in {
        tmp_path / "absent": "no model file",
        tmp_path: "no model file",
        text: "is not a safetensors file",
        foreign: "is no dalib model",
        stranger: "did you mean 'plain'",
    }.items():
        with pytest.raises(DalibError, match=words) as caught:
            load_model(path)
        assert "\n" not in str(caught.value)


def test_a_model_of_several_sources_comes_back_with_all_its_parts(tmp_path: Path) -> None:
    class PerSource(Algorithm):
        def build(self, dim: int, outputs: int) -> None:
            self.heads = torch.nn.ModuleList(torch.nn.Linear(dim, 2) for _ in range(self.network.origins))

        def loss(self, source, target, progress):
            return {"classification": torch.nn.functional.cross_entropy(source.logits, source.y)}

    ALGORITHMS.add("per_source", PerSource)
    try:
        network = Network.on_features(4, 3, bottleneck=0)
        network.origins = 3
        algorithm = PerSource()
        algorithm.attach(network)
        fitted = Fitted(algorithm, identity(4), ("a", "b", "c"), TrainConfig(bottleneck=0), torch.device("cpu"))
        loaded = load_model(save_model(fitted, tmp_path / "m", "per_source"), device="cpu")
        assert len(loaded.algorithm.heads) == 3
    finally:
        ALGORITHMS._extra.pop("per_source")


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    algorithm = ALGORITHMS.get("dann")(hidden=8)
    fitted = Trainer(recipe(steps=1), device="cpu").fit(algorithm, make_task(), identity(DIM))
    loaded = load_model(save_model(fitted, tmp_path / "m"), "cpu")
    assert len({save_model(loaded, tmp_path / f"{i}", "dann").read_bytes() for i in range(12)}) == 1
