"""From data to a model file to predictions, on features and on images."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.worlds import CLASSES

Dalib = Callable[..., Any]


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="session")
def feature_model(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from dalib.cli import main

    out = tmp_path_factory.mktemp("models") / "features.safetensors"
    task = ["--dataset", f"features:{world}/good.npz", "--source", "left", "--target", "right"]
    recipe = ["--steps", "40", "--normalise", "l2,zscore", "--train.evaluations", "1"]
    assert main(["train", *task, "--algorithm", "dann", "--algorithm.weight", "0.5", *recipe, "--out", str(out)]) == 0
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
        "--train.resize",
        "40",
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


def test_a_stopped_training_goes_on_where_it_was(
    dalib: Dalib, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dalib.train.engine import Engine
    from dalib.train.trainer import Trainer

    def stop(self: Engine) -> None:
        raise KeyboardInterrupt

    init = Trainer.__init__
    monkeypatch.setattr(Trainer, "__init__", lambda self, *a, **k: init(self, *a, **k, checkpoint_seconds=-1.0))
    data = ("--dataset", f"features:{world}/good.npz", "--source", "left", "--target", "right")
    call = ("train", *data, "--algorithm", "source_only", "--steps", "30", "--checkpoint", tmp_path / "kept" / "state")
    whole = dalib(*call).out.splitlines()
    assert not (tmp_path / "kept" / "state").exists(), "it has served"
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "finish", stop)
        assert dalib(*call).status == 130
    assert (tmp_path / "kept" / "state").is_file()
    again = dalib(*call)
    assert again.status == 0 and again.out.splitlines()[2:] == whole[2:]


def test_listeners_follow_from_the_command_line_and_change_nothing(dalib: Dalib, world: Path, tmp_path: Path) -> None:
    assert dalib("new", "listener", "my_tracker", "--folder", tmp_path).status == 0
    task = ("--dataset", f"features:{world}/good.npz", "--source", "left", "--target", "right", "--steps", "20")
    follow = ("--listener", f"step_log={tmp_path}/steps.jsonl", "--listener", f"my_tracker={tmp_path}/mine.jsonl")
    plugin = ("--plugin", tmp_path / "my_tracker.py")
    alone = dalib("train", *task, "--algorithm", "dann")
    followed = dalib("train", *task, "--algorithm", "dann", *plugin, *follow)
    assert followed.status == 0, followed.err
    assert [line for line in followed.out.splitlines() if "accuracy" in line] == [
        line for line in alone.out.splitlines() if "accuracy" in line
    ]
    steps = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert [row["step"] for row in steps] == [*range(1, 21)] and "adversarial" in steps[0]
    assert len((tmp_path / "mine.jsonl").read_text().splitlines()) == 5


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
    assert round(np.mean(hits), 6) == pytest.approx(read_facts(feature_model)["extra"]["values"]["target"])
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
    assert round(np.mean(hits), 6) == pytest.approx(read_facts(image_model)["extra"]["values"]["target"])


def test_an_unreadable_image_is_named_and_left_out(dalib: Dalib, image_model: Path, world: Path) -> None:
    answer = dalib("predict", image_model, world / "damaged")
    assert answer.status == 1
    assert len(read_csv(answer.out)) == 35
    assert answer.err[0].startswith("dalib: cannot read image dark/cross/03.jpg")


def test_a_frozen_backbone_goes_into_the_model_file(dalib: Dalib, world: Path, tmp_path: Path) -> None:
    data = ("--dataset", "image_folder", "--data-root", world / "images.zip", "--source", "bright", "--target", "dark")
    backbone = ("--backbone", "tiny", "--backbone.frozen", "--crop", "32")
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
        recipe = ("--algorithm", "source_only", "--steps", "20", "--batch-size", "8", "--train.backbone_rate", "1")
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


def test_a_model_that_rejects_calls_doubtful_rows_unknown(dalib: Dalib, world: Path, tmp_path: Path) -> None:
    """Two of the three classes are known; the printed shares are those of the CSV, and rejecting alone changes them."""
    data = ("--dataset", f"features:{world}/good.npz", "--source", "left", "--target", "right")
    how = ("--protocol.source_classes", "0:2", "--algorithm", "source_only", "--steps", "50")
    y = np.load(world / "good.npz")["right_y"]
    printed, called = {}, {}
    for reject in (1.0, 0.2):
        made = dalib("train", *data, *how, "--protocol.reject", reject, "--out", tmp_path / "m")
        assert made.status == 0, made.err
        found = {a.strip(): float(b) / 100 for a, b in re.findall(r"^(.*?) +([\d.]+)%", made.out, re.MULTILINE)}
        printed[reject] = found
        rows = read_csv(dalib("predict", tmp_path / "m.safetensors", world / "good.npz", "--domain", "right").out)
        called[reject] = np.array([row["class"] for row in rows])
        assert all((row["probability"] == "") == (row["class"] == "unknown") for row in rows)
        wanted = np.where(y < 2, y.astype(str), "unknown")
        assert found["accuracy on target"] == pytest.approx((called[reject] == wanted).mean(), abs=1e-4)
        share = (called[reject] == "unknown")[y == 2].mean()
        assert found["target, unknown accuracy"] == pytest.approx(share, abs=1e-4)
    assert not (called[1.0] == "unknown").any() and (called[0.2][y == 2] == "unknown").mean() > 0.5
    assert "target, called unknown" not in printed[1.0]
    share = (called[0.2] == "unknown").mean()
    assert printed[0.2]["target, called unknown"] == pytest.approx(share, abs=1e-4)
    assert printed[0.2]["target, unknown auroc"] == printed[1.0]["target, unknown auroc"]
    top = read_csv(
        dalib("predict", tmp_path / "m.safetensors", world / "good.npz", "--domain", "right", "--top", 2).out
    )
    assert len(top) == 60 and [row["class"] for row in top[::2]] == called[0.2].tolist()
    assert all(row["class"] != "unknown" and float(row["probability"]) > 0 for row in top[1::2])


def test_backbone_options_reach_the_network_and_the_model_file(dalib: Dalib, tmp_path: Path) -> None:
    from dalib.train.model_file import load_model, read_facts

    wave = np.random.default_rng(0).normal(size=(24, 1, 16)).astype(np.float32)
    np.savez(tmp_path / "s.npz", a_x=wave, a_y=np.arange(24) % 2, b_x=wave, b_y=np.arange(24) % 2)
    data = ("--dataset", f"features:{tmp_path}/s.npz", "--source", "a", "--target", "b", "--backbone", "cnn1d")
    options = ("--backbone.channels", "[4, 6]", "--backbone.kernels=[3,3]")
    made = dalib("train", *data, *options, "--algorithm", "source_only", "--steps", "2", "--out", tmp_path / "m")
    assert made.status == 0, made.err
    assert read_facts(tmp_path / "m.safetensors")["backbone"]["options"] == {"channels": [4, 6], "kernels": [3, 3]}
    assert load_model(tmp_path / "m.safetensors").backbone.dim == 6
    for wrong, line in {
        "channel=[4]": "no setting of backbone cnn1d named 'channel'; did you mean 'channels'?",
        "options.frozen=true": "no option of backbone cnn1d named 'frozen'; known: channels, kernels",
        "channels=5": "cnn1d.channels = 5 is not a list; its default is [128, 256, 128]",
        "channels=[4]": "cnn1d.channels has 1 and cnn1d.kernels 3 values; give as many",
    }.items():
        answer = dalib("train", *data, "--algorithm", "source_only", f"--backbone.{wrong}")
        assert answer.status == 2 and len(answer.err) == 1 and line in answer.err[0], answer.err


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (
            ("--algorithm", "dann", "--protocol.reject", "1.5"),
            "protocol.reject = 1.5 should be less than or equal to 1",
        ),
        (("--algorithm", "dann", "--protocol.reject", "0"), "protocol.reject = 0 should be greater than 0"),
        (("--algorithm", "osbp", "--protocol.reject", "0.5"), "protocol.reject = 0.5 has no effect on osbp"),
        (
            ("--algorithm", "dann", "--backbone.options.a", "1"),
            "backbone identity has no options, so no 'a'; leave it out",
        ),
    ],
)
def test_what_cannot_be_rejected_or_set_is_said_in_one_line(
    dalib: Dalib, world: Path, more: tuple[str, ...], line: str
) -> None:
    answer = dalib("train", "--dataset", f"features:{world}/good.npz", "--source", "left", "--target", "right", *more)
    assert answer.status == 2 and len(answer.err) == 1 and line in answer.err[0], answer.err
