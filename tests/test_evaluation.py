"""`dalib.evaluate`: the metrics of a model on labelled rows, matched by names; what it cannot know it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, f1_score

import dalib
from dalib.cli import main

NAMES = ("cup", "pen", "jar")
X, Y = 4 * np.eye(6)[np.repeat(np.arange(3), 12)], np.repeat(np.arange(3), 12)


def write(path: Path, labels: np.ndarray = Y, **more: np.ndarray) -> Path:
    rng = np.random.default_rng(0)
    x = {d: (X + shift + rng.normal(size=X.shape)).astype(np.float32) for d, shift in (("a", 0.0), ("b", 1.5))}
    np.savez(path, a_x=x["a"], b_x=x["b"], a_y=labels, b_y=labels, classes=NAMES, **more)
    return path


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("evaluate") / "rows.npz")


@pytest.fixture(scope="module")
def run(rows: Path) -> dalib.TrainedRun:
    settings = {"train": {"steps": 8}, "data": {"normalise": ["zscore"]}}
    return dalib.fit(f"features:{rows}", "a", "b", "mcc", out=rows.with_name("model"), **settings)


def test_the_numbers_are_those_of_training_and_of_scikit_learn(rows: Path, run: dalib.TrainedRun) -> None:
    answer = dalib.evaluate(run.path, rows, "b")
    assert answer.rows == 36 and answer.metrics["accuracy"] == run.values["target"]
    assert "z-scored by the moments of the target in training" in answer.remarks[-1]
    guess = [row.label for row in dalib.predict(run.fitted, rows, domain="b").rows]
    truth = [NAMES[k] for k in Y]
    assert answer.metrics["accuracy"] == pytest.approx(accuracy_score(truth, guess), abs=1e-6)
    assert answer.metrics["macro_f1"] == pytest.approx(f1_score(truth, guess, average="macro"), abs=1e-6)
    frame = answer.frame().set_index("class")
    assert frame.loc["pen", "n"] == 12
    assert frame.loc["pen", "f1"] == pytest.approx(f1_score(truth, guess, labels=["pen"], average=None)[0], abs=1e-6)
    assert dalib.evaluate(run.fitted, run.task.test).metrics == answer.metrics, "a domain is taken as it is"


def test_rows_are_z_scored_in_float64_as_in_training(tmp_path: Path) -> None:
    """Unix times: float32 tells them apart by two minutes."""
    rng = np.random.default_rng(0)
    times = {d: 1.7e9 + 5.0 * Y + 0.5 * rng.normal(size=36) + shift for d, shift in (("a", 0.0), ("b", 400.0))}
    path = tmp_path / "times.npz"
    np.savez(path, **{f"{d}_x": t[:, None] for d, t in times.items()}, a_y=Y, b_y=Y)
    run = dalib.fit(f"features:{path}", "a", "b", "linear_probe", data={"normalise": ["zscore"]}, device="cpu")
    assert dalib.evaluate(run.fitted, path, "b").metrics["accuracy"] == run.values["target"] == 1.0


@pytest.mark.parametrize("width", [1, 5])
def test_rows_of_another_width_than_the_model_z_scores_are_refused(
    width: int, run: dalib.TrainedRun, tmp_path: Path
) -> None:
    np.savez(tmp_path / "thin.npz", b_x=X[:, :width], b_y=Y, classes=NAMES)
    with pytest.raises(dalib.DalibError, match=f"the rows have the width {width}; the model was trained on 6"):
        dalib.evaluate(run.path, tmp_path / "thin.npz")


def test_what_is_no_data_no_model_and_no_label_is_refused_in_one_line(rows: Path, run: dalib.TrainedRun) -> None:
    for data in (X, X.tolist(), None):
        with pytest.raises(dalib.DalibError, match=r"data is a .*; give a data set's name, a path, or a Domain"):
            dalib.evaluate(run.fitted, data)  # type: ignore[arg-type]
    with pytest.raises(dalib.DalibError, match="model is a list; give the path of a model file"):
        dalib.evaluate(X.tolist(), rows, "b")  # type: ignore[arg-type]
    unknown = replace(run.task.test, y=np.where(run.task.test.labels == 2, -1, run.task.test.labels))
    with pytest.raises(dalib.DalibError, match="has the label -1 in row"):
        dalib.evaluate(run.fitted, unknown)


def test_labels_are_matched_by_name_whatever_their_order(rows: Path, run: dalib.TrainedRun, tmp_path: Path) -> None:
    arrays = dict(np.load(rows))
    back = np.array([2, 0, 1])  # class k of the file is NAMES[k] by another number
    arrays |= {"classes": np.array(NAMES)[np.argsort(back)], "a_y": back[Y], "b_y": back[Y]}
    np.savez(tmp_path / "other.npz", **arrays)
    assert dalib.evaluate(run.path, tmp_path / "other.npz", "b").metrics == dalib.evaluate(run.path, rows, "b").metrics


def test_a_part_of_the_classes_is_enough(rows: Path, run: dalib.TrainedRun, tmp_path: Path) -> None:
    arrays = dict(np.load(rows))
    some = Y > 0
    arrays |= {"a_x": arrays["a_x"][some], "b_x": arrays["b_x"][some], "a_y": Y[some], "b_y": Y[some]}
    np.savez(tmp_path / "part.npz", **arrays)
    whole, part = dalib.evaluate(run.path, rows, "b"), dalib.evaluate(run.path, tmp_path / "part.npz", "b")
    recalls = [whole.per_class[name]["recall"] for name in NAMES]
    assert [part.per_class[name]["recall"] for name in NAMES[1:]] == recalls[1:] and part.rows == 24


def strange(labels: np.ndarray, path: Path, rows: Path) -> Path:
    arrays = dict(np.load(rows))
    np.savez(path, **(arrays | {"a_y": labels, "b_y": labels, "classes": np.array([*NAMES, "bus"])}))
    return path


def test_classes_that_the_model_does_not_know_are_refused_or_unknown(
    rows: Path, run: dalib.TrainedRun, tmp_path: Path
) -> None:
    labels = np.where(np.arange(36) % 12 < 3, 3, Y)
    file = strange(labels, tmp_path / "strange.npz", rows)
    with pytest.raises(dalib.DalibError, match=r"9 of 36 rows of 'b' are of classes .* not trained on \(bus\)"):
        dalib.evaluate(run.path, file, "b")
    with pytest.raises(dalib.DalibError, match=r"has none of the model's classes .* but bus"):
        dalib.evaluate(run.path, strange(np.full(36, 3), tmp_path / "bus.npz", rows), "b")
    doubtful = dalib.fit(
        f"features:{rows}", "a", "b", "linear_probe", protocol={"reject": 0.5}, data={"normalise": ["zscore"]}
    )
    answer = dalib.evaluate(doubtful.fitted, file, "b")
    called = [row.label for row in dalib.predict(doubtful.fitted, rows, domain="b").rows]
    truth = ["unknown" if k == 3 else NAMES[k] for k in labels]
    assert answer.metrics["accuracy"] == pytest.approx(accuracy_score(truth, called), abs=1e-6)
    assert {"known_accuracy", "unknown_accuracy", "h_score"} <= set(answer.metrics)
    assert answer.per_class["unknown"]["n"] == 9


def test_images_are_prepared_as_the_network_takes_them(tmp_path: Path) -> None:
    for d in "ab":
        for c, shade in (("dark", 20), ("light", 220)):
            for i in range(4):
                (tmp_path / "set" / d / c).mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (40, 30), (shade + i,) * 3).save(tmp_path / "set" / d / c / f"{i}.png")
    run = dalib.fit(
        "image_folder", "a", "b", "linear_probe", backbone={"name": "tiny", "frozen": True}, root=tmp_path / "set"
    )
    by_path = dalib.evaluate(run.fitted, tmp_path / "set", "b")
    assert by_path.metrics["accuracy"] == run.values["target"]
    assert dalib.evaluate(run.fitted, "image_folder", "b", root=tmp_path / "set").metrics == by_path.metrics
    write(tmp_path / "rows.npz")
    with pytest.raises(dalib.DalibError):
        dalib.evaluate(run.fitted, tmp_path / "rows.npz", "b")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: {"domain": ""}, "has the domains a, b; say which"),
        (lambda: {"domain": "c"}, "c"),
        (lambda: {"data": "nowhere.npz", "domain": "b"}, "nowhere.npz"),
    ],
)
def test_a_mistake_is_one_line(
    rows: Path, run: dalib.TrainedRun, change: Callable[[], dict[str, str]], words: str
) -> None:
    with pytest.raises(dalib.DalibError, match=words):
        dalib.evaluate(run.path, **({"data": rows, "domain": "b"} | change()))


def test_rows_without_labels_and_rows_of_other_answers_are_refused(
    rows: Path, run: dalib.TrainedRun, tmp_path: Path
) -> None:
    with pytest.raises(dalib.DalibError, match=r"has no labels to compare with; dalib\.predict"):
        dalib.evaluate(run.fitted, run.task.test.unlabelled())
    numbers = np.linspace(0, 1, 36)[:, None]
    arrays = {k: v for k, v in np.load(rows).items() if k != "classes"}
    np.savez(tmp_path / "n.npz", **(arrays | {"a_y": numbers, "b_y": numbers, "objective": "regression"}))
    with pytest.raises(dalib.DalibError, match="for regression; the model was trained for classification"):
        dalib.evaluate(run.path, tmp_path / "n.npz", "b")
    other = dalib.fit(f"features:{tmp_path}/n.npz", "a", "b", "source_only", train={"steps": 4})
    answer = dalib.evaluate(other.fitted, tmp_path / "n.npz", "b")
    assert answer.metrics[other.metric] == pytest.approx(other.values["target"])
    assert answer.per_class == {} and answer.frame().empty


def test_the_command_prints_the_same(rows: Path, run: dalib.TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    answer = dalib.evaluate(run.path, rows, "b")
    assert main(["evaluate", str(run.path), str(rows), "--domain", "b", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"rows": 36, "metrics": answer.metrics, "classes": answer.per_class}
    assert main(["evaluate", str(run.path), str(rows), "--domain", "b", "--classes"]) == 0
    out = capsys.readouterr().out
    assert f"{answer.metrics['accuracy']:.2%}" in out and "pen" in out
