"""`dalib.adapt`: a trained model goes on with unlabelled rows of a new domain, from whatever holds it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import dalib
from dalib.adaptation.start import open_model, read_classes
from dalib.checks.world import CONFIG, DIM, features_of, make_domain, make_task
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Domain
from dalib.train.continuation import source_free_algorithms
from dalib.train.trainer import Trainer
from tests.support.image_world import make_backbone, make_images

SOURCE_FREE = ["aad", "adabn", "cowa", "nrc", "shot", "t3a", "tent"]


def fitted(algorithm: str = "source_only", seed: int = 0, **changes: Any) -> dalib.Fitted:
    config = CONFIG.model_copy(update=changes)
    cls = ALGORITHMS.get(algorithm)
    return Trainer(config, seed=seed, device="cpu").fit(cls(), make_task(), features_of(cls))


@pytest.fixture(scope="module")
def model() -> dalib.Fitted:
    return fitted()


@pytest.fixture(scope="module")
def target() -> Domain:
    return make_domain("new", 40, 9, 1.0)


def states_equal(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_these_algorithms_need_no_source() -> None:
    assert source_free_algorithms() == SOURCE_FREE


@pytest.mark.parametrize("algorithm", SOURCE_FREE)
def test_the_result_is_a_model_file_like_any_other(
    algorithm: str, model: dalib.Fitted, target: Domain, tmp_path: Path
) -> None:
    before = {k: v.clone() for k, v in model.algorithm.state_dict().items()}
    result = dalib.adapt(model, target, algorithm, train={"steps": 8}, device="cpu", out=tmp_path / "new")
    assert all(torch.equal(before[k], v) for k, v in model.algorithm.state_dict().items()), "the model stays as it was"
    again = dalib.load_model(result.path, "cpu")
    assert torch.equal(again.outputs(target).logits, result.fitted.outputs(target).logits)
    assert dalib.evaluate(result.path, target, device="cpu").metrics["accuracy"] == result.values["accuracy after"]
    assert dalib.evaluate(model, target).metrics["accuracy"] == result.values["accuracy before"]
    assert again.extra["task"] == "identity->new" and again.classes == model.classes
    rows = dalib.predict(result.path, np.asarray(target.x), device="cpu").rows
    assert len(rows) == 40


def test_rows_that_the_model_turns_down_count_as_dalib_evaluate_counts_them(
    model: dalib.Fitted, target: Domain
) -> None:
    rejecting = replace(model, extra={**model.extra, "protocol": {"reject": 0.5}}, held_out=model.outputs(target))
    result = dalib.adapt(rejecting, target, "tent", train={"steps": 4}, device="cpu")
    plain = dalib.adapt(model, target, "tent", train={"steps": 4}, device="cpu")
    assert result.values["accuracy before"] == dalib.evaluate(rejecting, target).metrics["accuracy"]
    assert result.values["accuracy after"] == dalib.evaluate(result.fitted, target).metrics["accuracy"]
    assert result.values != plain.values and result.expected_before is None


def test_names_of_outputs_are_read_as_people_see_them(tmp_path: Path) -> None:
    """A mark that Windows puts before a text, or a blank after a comma, would make a class that no folder is called."""
    file = tmp_path / "names.txt"
    file.write_bytes("\ufeffcup\r\ncafe\u0301 \r\n\r\n".encode())
    assert read_classes(file, 2, "m") == read_classes(["cup", " café"], 2, "m") == ("cup", "café")
    file.write_bytes("cup\ncafé".encode("latin-1"))
    with pytest.raises(DalibError, match=r"names.txt is no text in UTF-8; save it as that"):
        read_classes(file, 2, "m")


def test_a_target_that_is_no_rows_is_refused_in_one_line(model: dalib.Fitted, target: Domain) -> None:
    x = np.asarray(target.x)
    net = nn.Sequential(nn.Linear(DIM, 8), nn.Linear(8, 3))
    for given, message in (
        (x.tolist(), r"target is a list; give a path, a name, a Domain or rows"),
        (np.where(x == x[4, 1], np.nan, x), "target: the rows have NaN or infinity, first in row 4"),
        (x[0], "target: the rows have the shape"),
        (replace(target, y=np.full(40, -1)), "domain 'new' has the label -1 in row 0"),
        (replace(target, x=np.full_like(x, np.nan)), "domain 'new': the rows have NaN"),
    ):
        with pytest.raises(DalibError, match=message):
            dalib.adapt(model, given, "t3a", device="cpu")  # type: ignore[arg-type]
        with pytest.raises(DalibError, match=f"{message}|a module takes rows"):
            dalib.adapt(net, given, "t3a", classes=target.classes, device="cpu")  # type: ignore[arg-type]
    with pytest.raises(DalibError, match="model is a list; give the path of a model file"):
        dalib.adapt([], target, device="cpu")  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", SOURCE_FREE)
def test_labels_of_the_target_decide_nothing(algorithm: str, model: dalib.Fitted, target: Domain) -> None:
    shuffled = replace(target, y=np.roll(target.labels, 1))
    results = [
        dalib.adapt(model, rows, algorithm, train={"steps": 8}, device="cpu")
        for rows in (target, shuffled, target.unlabelled())
    ]
    assert all(states_equal(results[0].fitted.algorithm, r.fitted.algorithm) for r in results)
    assert results[2].values == {} and results[0].values.keys() == {"accuracy before", "accuracy after"}


def test_the_second_phase_of_one_fit_is_adaptation_of_what_the_first_left() -> None:
    """Both phases in one fit, and the second alone from a copy of what stood between them: the same weights."""
    kept: list[dalib.Fitted] = []

    class Keeping(dalib.SHOT):  # type: ignore[misc, name-defined]
        def go_on(self, trainer: Any, source: Domain, target: Domain) -> None:
            between = dalib.SourceOnly()
            between.attach(deepcopy(self.network))
            kept.append(replace(trainer.fitted, algorithm=between))
            super().go_on(trainer, source, target)

    task = make_task(60)
    config = CONFIG.model_copy(update={"steps": 2 * CONFIG.steps, "batch_size": 26})
    whole = Trainer(config, device="cpu").fit(Keeping(), task, features_of(dalib.SHOT))
    half = config.model_copy(update={"steps": CONFIG.steps})
    alone = Trainer(half, device="cpu").adapt(dalib.SHOT(), kept[0], task.target)
    a, b = whole.algorithm.state_dict(), alone.algorithm.state_dict()
    assert a.keys() == b.keys()
    for key in a:
        torch.testing.assert_close(b[key], a[key], msg=key)


def test_training_goes_on_with_the_models_own_recipe_unless_told(model: dalib.Fitted, target: Domain) -> None:
    own = dalib.adapt(model, target, "shot", device="cpu").fitted.config
    assert own == model.config
    told = dalib.adapt(model, target, "shot", train={"steps": 5, "lr": 0.5}, device="cpu").fitted.config
    assert (told.steps, told.lr, told.bottleneck) == (5, 0.5, model.config.bottleneck)


def test_a_solved_linear_classifier_becomes_the_head(target: Domain) -> None:
    probe = fitted("linear_probe")
    result = dalib.adapt(probe, target, "nrc", train={"steps": 8}, device="cpu")
    head = result.start.algorithm.state_dict()
    assert result.values["accuracy before"] == dalib.evaluate(probe, target).metrics["accuracy"]
    assert result.fitted.algorithm.network.head.weight.shape == head["classifier_weight"].shape
    assert result.fitted.config.bottleneck == 0


def test_a_frozen_head_of_an_adapted_model_may_learn_again(model: dalib.Fitted, target: Domain) -> None:
    first = dalib.adapt(model, target, "shot", train={"steps": 8}, device="cpu")
    second = dalib.adapt(first.fitted, target, "nrc", train={"steps": 8}, device="cpu")
    a, b = (r.fitted.algorithm.network.head.weight for r in (first, second))
    assert not torch.equal(a, b)


def small_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(DIM, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


class Named(nn.Module):
    """As torchvision's networks are built: features, then `fc`."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(3, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.norm(self.conv(x)).relu().mean((2, 3)))


def test_any_module_with_a_linear_head_can_go_on(target: Domain) -> None:
    net = small_net()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    result = dalib.adapt(net, np.asarray(target.x), "tent", classes=("a", "b", "c"), train={"steps": 4}, device="cpu")
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    with torch.no_grad():
        expected = net.eval()(torch.from_numpy(np.asarray(target.x)))
    torch.testing.assert_close(result.start.outputs(target).logits, expected)
    assert dalib.evaluate(result.fitted, target).rows == 40


def test_a_module_of_images_is_told_how_they_are_prepared() -> None:
    images, net = make_images("new", 20, 0), Named()
    how = {"classes": ("red", "green", "blue"), "train": {"steps": 2, "augment": "none"}, "device": "cpu"}
    result = dalib.adapt(net, images, "shot", preprocess=dalib.Preprocess(14, 12), **how)
    x = torch.from_numpy(np.asarray(images.x)[:, :, 1:13, 1:13]).float() / 255
    prepare = dalib.Preprocess(14, 12)
    x = (x - torch.tensor(prepare.mean).view(3, 1, 1)) / torch.tensor(prepare.std).view(3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(result.start.outputs(images).logits, net.eval()(x), rtol=1e-4, atol=1e-5)
    with pytest.raises(DalibError, match="say how Named wants them"):
        dalib.adapt(net, images, "shot", **how)


def test_a_checkpoint_with_a_head_needs_its_networks_name_and_its_classes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    from torchvision import models

    net = models.resnet18(num_classes=3)
    torch.save(net.state_dict(), tmp_path / "resnet18.pth")
    images = make_images("new", 8, 0, side=36)
    named: dict[str, Any] = {"backbone": {"name": "resnet18"}, "classes": ("red", "green", "blue"), "device": "cpu"}
    start = open_model(tmp_path / "resnet18.pth", **named)
    prepare = start.backbone.preprocess
    assert prepare is not None
    start.backbone.preprocess = prepare.at(32, 36)
    with torch.no_grad():
        x = torch.randn(2, 3, 32, 32)
        torch.testing.assert_close(start.algorithm.network(x)[1], net.eval()(x))
    assert len(start.outputs(images).logits) == 8
    with pytest.raises(DalibError, match=r"if it is a checkpoint .* \(--backbone NAME\)"):
        dalib.adapt(tmp_path / "resnet18.pth", images, device="cpu")
    with pytest.raises(DalibError, match="does not say what its 3 outputs are called"):
        dalib.adapt(tmp_path / "resnet18.pth", images, backbone={"name": "resnet18"}, device="cpu")
    with pytest.raises(DalibError, match="has 3 outputs, and 2 classes are named; give a name for each"):
        dalib.adapt(tmp_path / "resnet18.pth", images, **{**named, "classes": ("red", "green")})
    with pytest.raises(DalibError, match="'red' is given 2 times"):
        dalib.adapt(tmp_path / "resnet18.pth", images, **{**named, "classes": ("red", "red", "blue")})
    headless = {k: v for k, v in net.state_dict().items() if not k.startswith("fc.")}
    torch.save(headless, tmp_path / "body.pth")
    with pytest.raises(DalibError, match="holds no classifier on the 512 features of resnet18"):
        dalib.adapt(tmp_path / "body.pth", images, **named)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(DIM, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x).log_softmax(1)


@pytest.mark.parametrize(
    ("net", "classes", "message"),
    [
        (Twice, ("a", "b", "c"), "are not what an nn.Linear of it gives last"),
        (small_net, (), "does not say what its 3 outputs are called; give their names in order"),
        (small_net, ("a", "b"), "has 3 outputs, and 2 classes are named"),
        (lambda: nn.Linear(5, 3), ("a", "b", "c"), "Linear does not take the target's rows"),
    ],
)
def test_a_module_that_cannot_go_on_is_refused(
    net: Callable[[], nn.Module], classes: tuple[str, ...], message: str, target: Domain
) -> None:
    with pytest.raises(DalibError, match=message):
        dalib.adapt(net(), np.asarray(target.x), "shot", classes=classes, device="cpu")


@pytest.mark.parametrize(
    ("algorithm", "how", "message"),
    [
        ("dann", {}, "dann needs source rows, and a trained model has none; take one of aad, adabn, cowa"),
        ("shot", {"hparams": {"smoothing": 0.2}}, "shot.smoothing is about training on the source"),
        ("nrc", {"hparams": {"pretrain": 0.2}}, "nrc.pretrain is about training on the source"),
        ("shot", {"hparams": {"wieght": 1}}, "no hyper-parameter of shot named 'wieght'; did you mean 'weight'"),
        ("shot", {"train": {"bottleneck": 5}}, "train.bottleneck is part of the trained network"),
        ("shot", {"train": {"step": 5}}, "no setting of train named 'step'; did you mean 'steps'"),
        ("shot", {"train": {"lr": -1}}, "train.lr = -1"),
        ("shot", {"classes": ("a", "b", "c")}, "a dalib model knows its classes"),
        ("shot", {"domain": "x"}, "rows are one domain already"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(
    algorithm: str, how: dict[str, Any], message: str, model: dalib.Fitted, target: Domain
) -> None:
    with pytest.raises(DalibError, match=message):
        dalib.adapt(model, target, algorithm, device="cpu", **how)


def test_targets_that_teach_nothing_are_refused(model: dalib.Fitted, target: Domain) -> None:
    one = target.take(np.arange(1), "one").unlabelled()
    with pytest.raises(DalibError, match=r"target 'new' has 1 row, from which nothing can be learnt; give 2 or more"):
        dalib.adapt(model, one, device="cpu")
    same = target.take(target.labels == 1, "one class")
    with pytest.raises(DalibError, match=r"all 13 rows of 'new' are 'b'.*give rows of 2 classes or more"):
        dalib.adapt(model, same, device="cpu")
    with pytest.raises(DalibError, match=r"'new' has none of the model's classes \(a, b, c …\) but x, y, z"):
        dalib.adapt(model, replace(target, classes=("x", "y", "z")), device="cpu")
    with pytest.raises(DalibError, match="are of classes that the model was not trained on"):
        dalib.adapt(model, replace(target, classes=("a", "b", "z")), device="cpu")


@pytest.mark.parametrize(
    ("algorithm", "message"),
    [
        ("meda", "a model of meda moves rows before it classifies them"),
        ("nearest_neighbour", "answers by nearest"),
        ("mcd", "a model of mcd does not predict by its network's head alone"),
        ("osbp", "a model of osbp answers 'unknown' too"),
        ("t3a", "a model of t3a does not predict by its network's head alone"),
    ],
)
def test_a_model_that_nothing_can_go_on_from_is_refused(algorithm: str, message: str, target: Domain) -> None:
    with pytest.raises(DalibError, match=message):
        dalib.adapt(fitted(algorithm, steps=2), target, device="cpu")


def test_modules_that_another_algorithm_put_into_the_network_are_not_lost_in_silence(tmp_path: Path) -> None:
    images = make_images("source", 12, 0), make_images("new", 12, 1)
    task = dalib.Task("s->t", images[0], images[1].unlabelled(), images[0].take(np.arange(0), "none"), images[1])
    backbone = dalib.load_backbone("tiny", "none")
    small = replace(backbone, preprocess=dalib.Preprocess(14, 14))
    config = dalib.TrainConfig(steps=1, batch_size=4, evaluations=1)
    tuned = Trainer(config, device="cpu").fit(dalib.LoRA(), task, small)
    with pytest.raises(DalibError, match="lora put modules of its own into the network"):
        dalib.adapt(tuned, images[1], "shot", device="cpu")


def test_a_network_is_trained_end_to_end_where_it_is_not_frozen() -> None:
    source, new = make_images("source", 24, 0), make_images("new", 20, 1)
    task = dalib.Task("s->t", source, new.unlabelled(), source.take(np.arange(0), "none"), new)
    config = dalib.TrainConfig(steps=4, batch_size=8, bottleneck=8, evaluations=1)
    start = Trainer(config, device="cpu").fit(dalib.SourceOnly(), task, make_backbone())
    result = dalib.adapt(start, new, "shot", device="cpu")
    stem = [m.algorithm.network.backbone[0][0].weight for m in (start, result.fitted)]
    heads = [m.algorithm.network.head.weight for m in (start, result.fitted)]
    assert not torch.equal(*stem) and torch.equal(*heads)
    with pytest.raises(DalibError, match="no file can name the network 'small'"):
        dalib.adapt(start, new, "shot", device="cpu", out="x")


def test_answers_that_are_all_alike_are_remarked(model: dalib.Fitted, target: Domain) -> None:
    stuck = replace(model, algorithm=deepcopy(model.algorithm))
    with torch.no_grad():
        stuck.algorithm.network.head.bias[1] = 1000.0
    remarks = dalib.adapt(stuck, target.unlabelled(), "adabn", device="cpu").remarks
    assert remarks == ("before adaptation every target row is called 'b'", "now every target row is called 'b'")


@pytest.mark.parametrize("target", ["nowhere/pictures", "nowhere.zip", "nowhere.npz"])
def test_a_path_that_is_not_there_is_no_name_of_a_data_set(target: str) -> None:
    x, y = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32), np.arange(40) % 2
    model = dalib.AdaptationClassifier("source_only", train={"steps": 2}).fit(x, y, x).fitted_
    with pytest.raises(DalibError, match=f"no folder or file {target}; give the path"):
        dalib.adapt(model, target, "shot")


def test_a_feature_file_that_lacks_classes_is_read_by_either_of_its_names_and_said_so(
    model: dalib.Fitted, target: Domain, tmp_path: Path
) -> None:
    file, few = tmp_path / "new.npz", target.labels < 2
    names = np.array(model.classes)
    rows = {"whole_x": np.asarray(target.x), "whole_y": names[target.labels]}
    np.savez(file, **rows, few_x=np.asarray(target.x)[few], few_y=names[target.labels[few]])
    told = [
        dalib.adapt(model, name, domain="few", train={"steps": 2}, device="cpu") for name in (file, f"features:{file}")
    ]
    assert [result.remarks for result in told] == [told[0].remarks] * 2
    assert any(remark.startswith("partial: few has no") for remark in told[0].remarks)
    assert told[0].values == told[1].values and len(told[0].values) == 2
