"""From data to a model file to predictions, on features and on images."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds import CLASSES

Dalib = Callable[..., Any]


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="session")
def feature_model(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from dalib.cli import main

    out = tmp_path_factory.mktemp("models") / "features.safetensors"
    task = ["--dataset", f"features:{world}/good.npz", "--source", "left", "--target", "right"]
    recipe = ["--steps", "40", "--normalise", "l2,zscore", "--train", "evaluations=1"]
    assert main(["train", *task, "--algorithm", "dann", "--set", "weight=0.5", *recipe, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def image_model(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from dalib.cli import main

    out = tmp_path_factory.mktemp("models") / "images"
    task = ["--dataset", "image_folder", "--data-root", f"{world}/images", "--source", "bright", "--target", "dark"]
    backbone = [
        "--backbone",
        "resnet18",
        "--weights",
        "none",
        "--crop",
        "32",
        "--train",
        "resize=40",
        "--batch-size",
        "6",
    ]
    assert main(["train", *task, *backbone, "--algorithm", "dann", "--steps", "2", "--out", str(out)]) == 0
    return out.with_name("images.safetensors")


def test_training_prints_source_and_target_accuracy(dalib: Dalib, world: Path) -> None:
    data = ("--dataset", f"features:{world}/good.npz", "--source", "left", "--target", "right")
    answer = dalib("train", *data, "--algorithm", "source_only", "--steps", "60", "--lr", "0.05")
    assert answer.status == 0
    shares = {line.split("  ")[0]: line for line in answer.out.splitlines() if "accuracy" in line}
    assert "n = 27" in shares["accuracy on source, training rows"]
    assert "n = 3" in shares["accuracy on source, held-out rows"]
    assert "n = 30" in shares["accuracy on target"]
    assert float(shares["accuracy on target"].split("%")[0].split()[-1]) > 90


def test_a_model_file_keeps_how_it_was_made(feature_model: Path, world: Path) -> None:
    from dalib.train.model_file import read_facts

    facts = read_facts(feature_model)
    assert facts["hparams"]["weight"] == 0.5
    assert facts["config"]["steps"] == 40
    assert facts["extra"]["normalise"] == ["l2", "zscore"]
    assert facts["extra"]["task"] == "left->right"
    assert facts["extra"]["dataset"] == f"features:{world}/good.npz"


def test_feature_predictions_are_those_of_training(dalib: Dalib, feature_model: Path, world: Path) -> None:
    """The stored normalisation is applied to the file as a domain of its own, so accuracy is what training printed."""
    from dalib.train.model_file import read_facts

    rows = read_csv(dalib("predict", feature_model, world / "good.npz", "--domain", "right").out)
    y = np.load(world / "good.npz")["right_y"]
    hits = [int(row["class"]) == k for row, k in zip(rows, y, strict=True)]
    assert np.mean(hits) == pytest.approx(read_facts(feature_model)["extra"]["accuracies"]["target"])
    assert all(1 / 3 <= float(row["probability"]) <= 1 for row in rows)


def test_top_k_gives_k_rows_best_first(dalib: Dalib, feature_model: Path, world: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", x=np.load(world / "good.npz")["right_x"])
    rows = read_csv(dalib("predict", feature_model, tmp_path / "one.npz", "--top", "3").out)
    assert len(rows) == 90
    for i in range(0, 90, 3):
        p = [float(row["probability"]) for row in rows[i : i + 3]]
        assert p == sorted(p, reverse=True)
        assert sum(p) == pytest.approx(1, abs=1e-5)
        assert {row["class"] for row in rows[i : i + 3]} == {"0", "1", "2"}


def test_images_in_a_folder_a_zip_or_alone_get_the_same_classes(
    dalib: Dalib, image_model: Path, world: Path, tmp_path: Path
) -> None:
    folder = read_csv(dalib("predict", image_model, world / "images").out)
    assert dalib("predict", image_model, world / "images.zip", "--out", tmp_path / "deep" / "p.csv").status == 0
    assert read_csv((tmp_path / "deep" / "p.csv").read_text()) == folder
    assert len(folder) == 36
    assert {row["class"] for row in folder} <= set(CLASSES)
    alone = read_csv(dalib("predict", image_model, world / "images" / "dark" / "cross" / "00.jpg").out)
    same = next(row for row in folder if row["file"] == "dark/cross/00.jpg")
    assert alone[0]["class"] == same["class"]
    assert float(alone[0]["probability"]) == pytest.approx(float(same["probability"]), abs=1e-4)


def test_predictions_equal_the_trained_models(dalib: Dalib, image_model: Path, world: Path) -> None:
    from dalib.train.model_file import read_facts

    rows = read_csv(dalib("predict", image_model, world / "images").out)
    hits = [row["file"].split("/")[1] == row["class"] for row in rows if row["file"].startswith("dark/")]
    assert np.mean(hits) == pytest.approx(read_facts(image_model)["extra"]["accuracies"]["target"])


def test_an_unreadable_image_is_named_and_left_out(dalib: Dalib, image_model: Path, world: Path) -> None:
    answer = dalib("predict", image_model, world / "damaged")
    assert answer.status == 1
    assert len(read_csv(answer.out)) == 35
    assert answer.err[0].startswith("dalib: cannot read image dark/cross/03.jpg")


def test_a_frozen_backbone_goes_into_the_model_file(dalib: Dalib, world: Path, tmp_path: Path) -> None:
    data = ("--dataset", "image_folder", "--data-root", world / "images.zip", "--source", "bright", "--target", "dark")
    backbone = ("--backbone", "tiny", "--frozen", "--crop", "32")
    shutil.copytree(world / "images", tmp_path / "moved")
    trained = dalib("train", *data, *backbone, "--algorithm", "linear_probe", "--out", tmp_path / "m")
    assert trained.status == 0, trained.err
    share = float(next(x for x in trained.out.splitlines() if "on target" in x).split("%")[0].split()[-1]) / 100
    rows = read_csv(dalib("predict", tmp_path / "m.safetensors", tmp_path / "moved" / "dark").out)
    assert np.mean([row["file"].split("/")[0] == row["class"] for row in rows]) == pytest.approx(share, abs=1e-4)


def test_time_series_and_modalities_are_trained_on_and_predicted(dalib: Dalib, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    y = np.arange(24) % 2
    wave = (draw.normal(size=(24, 1, 16)) + 3 * y[:, None, None]).astype(np.float32)
    table = (draw.normal(size=(24, 4)) - 3 * y[:, None]).astype(np.float32)
    np.savez(tmp_path / "series.npz", a_x=wave, a_y=y, b_x=wave + 0.1, b_y=y)
    both = {"a_x_wave": wave, "a_x_table": table, "a_y": y, "b_x_wave": wave, "b_x_table": table, "b_y": y}
    np.savez(tmp_path / "both.npz", **both)
    np.savez(tmp_path / "new.npz", x=wave[:3])
    np.savez(tmp_path / "short.npz", x=wave[:3, :, :9])
    for name, backbone in (("series", "cnn1d"), ("both", "modalities")):
        data = ("--dataset", f"features:{tmp_path}/{name}.npz", "--source", "a", "--target", "b")
        recipe = ("--algorithm", "source_only", "--steps", "20", "--batch-size", "8", "--train", "backbone_rate=1")
        made = dalib(
            "train", *data, "--backbone", backbone, "--weights", "none", *recipe, "--out", f"{tmp_path}/{name}"
        )
        assert made.status == 0, made.err
        answer = dalib("predict", f"{tmp_path}/{name}.safetensors", f"{tmp_path}/{name}.npz", "--domain", "b")
        assert answer.status == 0 and len(read_csv(answer.out)) == 24
    assert len(read_csv(dalib("predict", f"{tmp_path}/series.safetensors", f"{tmp_path}/new.npz").out)) == 3
    wrong = dalib("predict", f"{tmp_path}/series.safetensors", f"{tmp_path}/short.npz")
    assert wrong.status != 0 and not wrong.out and "rows (1, 9)" in wrong.err[0]
    lacking = dalib("predict", f"{tmp_path}/both.safetensors", f"{tmp_path}/new.npz")
    assert lacking.status != 0 and "x_wave" in lacking.err[0]
