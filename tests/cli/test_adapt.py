"""`dalib adapt`: a model file and a new domain's rows, on features and on images."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dalib.cli import main
from tests.support.worlds import CLASSES

Dalib = Callable[..., Any]


@pytest.fixture(scope="session")
def rows_model(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "rows.safetensors"
    task = ["--dataset", f"features:{world}/good.npz", "--source", "left", "--target", "right"]
    recipe = ["--steps", "20", "--normalise", "l2,zscore", "--train.evaluations", "1"]
    assert main(["train", *task, "--algorithm", "source_only", *recipe, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def picture_model(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "pictures.safetensors"
    task = ["--dataset", "image_folder", "--data-root", f"{world}/images", "--source", "bright", "--target", "dark"]
    network = ["--backbone", "tiny", "--backbone.frozen", "true", "--steps", "20"]
    assert main(["train", *task, *network, "--algorithm", "source_only", "--out", str(out)]) == 0
    return out


def test_a_new_domain_of_features_is_scaled_by_its_own_moments(
    dalib: Dalib, rows_model: Path, world: Path, tmp_path: Path
) -> None:
    good = dict(np.load(world / "good.npz"))
    np.savez(tmp_path / "new.npz", third_x=9 * good["right_x"] + 5, third_y=good["right_y"])
    answer = dalib(
        "adapt", rows_model, tmp_path / "new.npz", "--algorithm", "tent", "--steps", 5, "--out", tmp_path / "a"
    )
    assert answer.status == 0, answer.err
    assert "tent  left->third" in answer.out and "from source_only on left->right" in answer.out
    assert "accuracy before" in answer.out and "accuracy after" in answer.out and "n = 30" in answer.out
    predicted = dalib("predict", tmp_path / "a.safetensors", tmp_path / "new.npz", "--domain", "third")
    assert predicted.status == 0 and len(predicted.out.splitlines()) == 31
    evaluated = dalib("evaluate", tmp_path / "a.safetensors", tmp_path / "new.npz", "--domain", "third")
    told = next(line for line in answer.out.splitlines() if line.startswith("accuracy after")).split()[2]
    assert told in evaluated.out
    unlabelled = {"third_x": good["right_x"], "x": good["right_x"]}
    np.savez(tmp_path / "bare.npz", **unlabelled)
    bare = dalib("adapt", rows_model, tmp_path / "bare.npz", "--steps", 3)
    assert bare.status == 0 and "unknown" in bare.out and "n = 30, without labels" in bare.out


def test_folders_are_labels_only_where_each_is_called_as_a_class(
    dalib: Dalib, picture_model: Path, world: Path, tmp_path: Path
) -> None:
    answer = dalib("adapt", picture_model, world / "images" / "dark", "--steps", 3, "--out", tmp_path / "a")
    assert answer.status == 0, answer.err
    assert "18 images; its folders are classes, by which accuracy is measured and nothing else" in answer.out
    assert dalib("predict", tmp_path / "a.safetensors", world / "images" / "dark").status == 0
    shutil.copytree(world / "images" / "dark", tmp_path / "odd")
    (tmp_path / "odd" / CLASSES[0]).rename(tmp_path / "odd" / "elephant")
    odd = dalib("adapt", picture_model, tmp_path / "odd", "--steps", 3)
    assert "its folders are not read as labels, since elephant is none of the model's classes" in odd.out
    assert "accuracy before" not in odd.out
    flat = tmp_path / "flat"
    flat.mkdir()
    for i, file in enumerate(sorted((world / "images" / "dark").rglob("*.jpg"))):
        shutil.copy(file, flat / f"{i}.jpg")
    assert "its folders are not read" in dalib("adapt", picture_model, flat, "--steps", 3).out
    one = dalib("adapt", picture_model, world / "images" / "dark" / CLASSES[0], "--steps", 3)
    assert one.status == 0 and "its folders are not read" in one.out
    named = dalib(
        "adapt", picture_model, "image_folder", "--data-root", world / "images", "--domain", "dark", "--steps", 3
    )
    assert named.status == 0 and "accuracy before" in named.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["TARGET", "--algorithm", "coral"], "coral needs source rows, and a trained model has none"),
        (["TARGET", "--algorithm", "shoot"], "no algorithm named 'shoot'; did you mean 'shot'"),
        (["TARGET", "--protocol.shots", "3"], "--protocol.… means nothing to a trained model"),
        (["TARGET", "--backbone.frozen", "true"], "--backbone.… belongs to a checkpoint"),
        (["TARGET", "--classes", "a,b"], "a dalib model knows its classes"),
        (["TARGET", "--train.bottleneck", "9"], "train.bottleneck is part of the trained network"),
        (["TARGET", "--seed", "-1"], "--seed -1 is negative"),
        (["nowhere"], "nowhere"),
        (["ONE"], "target 'one' has 1 row, from which nothing can be learnt"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], message: str, dalib: Dalib, picture_model: Path, world: Path, tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    shutil.copy(world / "images" / "dark" / CLASSES[0] / "00.jpg", tmp_path / "one")
    places = {"TARGET": str(world / "images" / "dark"), "ONE": str(tmp_path / "one")}
    answer = dalib("adapt", picture_model, *(places.get(word, word) for word in words))
    assert answer.status == 2 and len(answer.err) == 1 and message in answer.err[0], answer.err


def test_a_checkpoint_of_another_program_is_asked_for_its_network_and_classes(
    dalib: Dalib, world: Path, tmp_path: Path
) -> None:
    import torch
    from torchvision import models

    torch.save(models.resnet18(num_classes=3).state_dict(), tmp_path / "net.pth")
    target = world / "images" / "dark"
    bare = dalib("adapt", tmp_path / "net.pth", target)
    assert bare.status == 2 and "(--backbone NAME) and what its outputs are called (--classes A,B,…)" in bare.err[0]
    few = dalib("adapt", tmp_path / "net.pth", target, "--backbone", "resnet18", "--classes", ",".join(CLASSES[:2]))
    assert few.status == 2 and "has 3 outputs, and 2 classes are named" in few.err[0]
    (tmp_path / "names.txt").write_text("\n".join(CLASSES))
    words = ("--backbone", "resnet18", "--classes", tmp_path / "names.txt", "--train.crop", "32", "--batch-size", 6)
    answer = dalib(
        "adapt", tmp_path / "net.pth", target, *words, "--steps", 1, "--algorithm", "adabn", "--out", tmp_path / "a"
    )
    assert answer.status == 0, answer.err
    assert dalib("predict", tmp_path / "a.safetensors", target).status == 0
