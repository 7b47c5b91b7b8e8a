"""Zero-shot by class names: a classifier's own classes become the data's, and what cannot be read is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import dalib
from dalib.backbones import load_backbone
from dalib.checks.world import features_of, make_task
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.texts import encode_names
from dalib.core.types import Task
from dalib.train.model_file import load_model, save_model
from dalib.train.trainer import Trainer
from tests.nn.test_semantics import conse

ZERO = dalib.ZeroShot


def backbone() -> Backbone:
    return features_of(ZERO)


def renamed(task: Task, *classes: str) -> Task:
    def named(domain):  # type: ignore[no-untyped-def]
        return replace(domain, classes=classes)

    return replace(task, labelled=named(task.labelled), target=named(task.target), test=named(task.test))


@pytest.mark.parametrize("top", [1, 2, 5])
def test_predictions_are_the_papers(top: int) -> None:
    task, given = renamed(make_task(), "a cat", "bee", "a"), backbone()
    fitted = Trainer(device="cpu").fit(ZERO(encoder="spelling", top=top, temperature=0.1), task, given)
    logits = given.head(torch.as_tensor(task.test.x)).detach().double().numpy()  # type: ignore[misc]
    known, asked = (encode_names(n, "spelling").numpy() for n in (given.head_classes, task.classes))
    expected = conse(logits, known, asked, top) / 0.1
    np.testing.assert_allclose(fitted.outputs(task.test).logits, expected, rtol=1e-4)


def test_no_label_of_the_source_is_read() -> None:
    task = make_task()
    shuffled = replace(task, labelled=replace(task.labelled, y=task.labelled.labels[::-1].copy()))
    one, other = (Trainer(device="cpu").fit(ZERO(encoder="spelling"), t, backbone()) for t in (task, shuffled))
    assert torch.equal(one.outputs(task.test).logits, other.outputs(task.test).logits)
    assert (one.outputs(task.test).logits.argmax(1).numpy() == task.test.labels).mean() > 0.6


def test_a_model_file_needs_no_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task()
    fitted = Trainer(device="cpu").fit(ZERO(encoder="spelling"), task, backbone())
    file = save_model(fitted, tmp_path / "zero")
    monkeypatch.setattr("dalib.algorithms._class_names.encode_names", None)
    assert torch.equal(load_model(file, device="cpu").outputs(task.test).logits, fitted.outputs(task.test).logits)


@pytest.mark.parametrize(
    ("changes", "classes", "words"),
    [
        ({"head": None}, ("a", "b", "c"), "zero_shot reads the classifier that the backbone was pretrained with"),
        ({"head_classes": ()}, ("a", "b", "c"), "nobody says what the 5 classes of the pretrained head are called"),
        ({"head_classes": ("a", "b")}, ("a", "b", "c"), "nobody says what the 5 classes"),
        ({}, ("a", "b", "☃"), "class '☃' has no word that the encoder spelling knows"),
        (
            {},
            ("back_pack", "mug", "Back.Pack"),
            "classes 'back_pack' and 'Back.Pack' are the same to the encoder spelling",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(changes: dict[str, object], classes: tuple[str, ...], words: str) -> None:
    with pytest.raises(DalibError, match=words) as caught:
        Trainer(device="cpu").fit(
            ZERO(encoder="spelling"), renamed(make_task(), *classes), replace(backbone(), **changes)
        )
    assert "\n" not in str(caught.value)


def test_another_number_of_class_names_than_of_outputs_is_refused() -> None:
    algorithm = ZERO(encoder="spelling")
    algorithm.attach(dalib.core.network.Network(backbone(), 3, bottleneck=0))
    with pytest.raises(DalibError, match="2 class names for a network of 3 outputs"):
        algorithm.fit(None, replace(make_task().labelled, classes=("a", "b")), make_task().target)  # type: ignore[arg-type]


def test_imagenets_names_are_those_of_a_head_that_is_said_to_be_its(tmp_path: Path) -> None:
    from safetensors.torch import save_file
    from torchvision import models

    model = models.mobilenet_v2(weights=None)
    save_file(model.state_dict(), tmp_path / "mine.safetensors")
    unsaid = load_backbone("mobilenet_v2", str(tmp_path / "mine.safetensors"), head=True)
    assert isinstance(unsaid.head, nn.Linear) and unsaid.pretraining == ("unknown",) and not unsaid.head_classes
    said = load_backbone("mobilenet_v2", str(tmp_path / "mine.safetensors"), head=True, pretraining=["imagenet-1k"])
    assert said.head_classes[:2] == ("tench", "goldfish") and len(said.head_classes) == 1000
