"""Data whose labels are no classes, from the file to the table and back to a model's answers."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from dalib.records.store import Store
from tests.cli.conftest import Dalib

SUITE = """
dataset = "features:{file}"
seeds = [0]
tasks = ["lab->field"]
[train]
steps = 60
lr = 0.05
bottleneck = 8
[algorithms]
source_only = {{}}
{row} = {{}}
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`regression.npz`, `multilabel.npz`: two outputs that are linear in six features; the target's are moved."""
    root, rng = tmp_path_factory.mktemp("answers"), np.random.default_rng(0)
    W = rng.standard_normal((6, 2))
    for objective in ("regression", "multilabel"):
        arrays: dict[str, object] = {"objective": objective, "classes": ["left", "right"]}
        for domain, moved in (("lab", 0.0), ("field", 0.3)):
            x = rng.standard_normal((90, 6)).astype(np.float32)
            y = x @ W
            arrays |= {f"{domain}_x": x + np.float32(moved), f"{domain}_y": y if objective == "regression" else y > 0}
        np.savez(root / f"{objective}.npz", **arrays)  # type: ignore[arg-type]
    return root


def write_suite(root: Path, objective: str, row: str = "mmd") -> Path:
    path = root / f"{objective}_{row}.toml"
    path.write_text(SUITE.format(file=root / f"{objective}.npz", row=row), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("objective", "metric", "lower"), [("regression", "mae", True), ("multilabel", "mean average precision", False)]
)
def test_a_suite_shows_the_metric_of_its_objective_with_its_direction(
    files: Path, dalib: Dalib, objective: str, metric: str, lower: bool
) -> None:
    path = write_suite(files, objective)
    done = dalib("run", path, "--store", files / "results", "--tables", files / "tables")
    assert done.status == 0, done.err
    caption = " ".join(done.out.split())
    assert f"Target {metric}" in caption and ("lower is better" in caption) == lower
    records = [json.loads(p.read_text()) for p in sorted((files / "results").rglob("*.json"))]
    mine = [r for r in records if r.get("objective") == objective and r["spec"]["algorithm"] == "source_only"]
    assert len(mine) == 1 and not mine[0]["candidates"][-1]["scores"] and not mine[0]["per_class"]
    name = f"target_{metric.replace(' ', '_')}"
    data = np.load(files / f"{objective}.npz")
    arrays = np.load(next((files / "results").rglob(f"{mine[0]['key']}*.npz")))
    step = mine[0]["candidates"][-1]["step"]
    np.testing.assert_array_equal(arrays["target_y"], data["field_y"].astype(arrays["target_y"].dtype))
    if objective == "regression":
        by_hand = np.abs(arrays[f"step_{step}_target"] - data["field_y"]).mean()
        assert mine[0]["candidates"][-1]["metrics"][name] == pytest.approx(by_hand, rel=1e-5)
    before = sorted((p, p.read_bytes()) for p in (files / "results").rglob("*.json"))
    assert dalib("rescore", path, "--store", files / "results").status == 0
    assert before == sorted((p, p.read_bytes()) for p in (files / "results").rglob("*.json"))


def test_rescoring_brings_back_a_metric_that_is_missing(files: Path, dalib: Dalib) -> None:
    path, results = write_suite(files, "regression", "deep_coral"), files / "again"
    assert dalib("run", path, "--store", results, "--tables", files / "tables").status == 0
    store = Store(results)
    records = list(store.records(p.stem for p in results.rglob("*.json") if len(p.stem) == 64))
    whole = {r.key: r.candidates[-1].metrics.copy() for r in records}
    for record in records:
        record.candidates[-1].metrics.pop("target_rmse")
        store.update(record)
    assert len(whole) == 2 and "2 records rescored" in dalib("rescore", path, "--store", results).out
    for key, metrics in whole.items():
        assert store.get(key).candidates[-1].metrics == pytest.approx(metrics, rel=1e-5)


@pytest.mark.parametrize("objective", ["regression", "multilabel"])
def test_a_model_file_answers_by_the_names_of_its_outputs(files: Path, dalib: Dalib, objective: str) -> None:
    data, model = files / f"{objective}.npz", files / f"{objective}.safetensors"
    recipe = ("--train.steps", 200, "--train.lr", 0.1, "--train.bottleneck", 8)
    task = ("--dataset", f"features:{data}", "--source", "lab", "--target", "field")
    done = dalib("train", "--algorithm", "source_only", *task, *recipe, "--out", model)
    assert done.status == 0, done.err
    rows = list(csv.DictReader(io.StringIO(dalib("predict", model, data, "--domain", "field").out)))
    assert len(rows) == 90 and set(rows[0]) == {"file", "left", "right"}
    told = np.array([[float(r["left"]), float(r["right"])] for r in rows])
    truth = np.load(data)["field_y"].astype(float)
    if objective == "multilabel":
        assert set(told.ravel()) <= {0, 1} and (told == truth).mean() > 0.8
    else:
        assert np.corrcoef(told.ravel(), truth.ravel())[0, 1] > 0.8
        assert f"{np.abs(told - truth).mean():.4g}"[:4] in done.out
    refused = dalib("predict", model, data, "--domain", "field", "--top", 2)
    assert refused.status == 2 and objective in refused.err[-1]


@pytest.mark.parametrize(
    "command", [("advise", "{}"), ("rank", "--dataset", "features:{}", "--target", "field")], ids=lambda c: c[0]
)
def test_what_compares_classes_refuses_in_one_line(files: Path, dalib: Dalib, command: tuple[str, ...]) -> None:
    done = dalib(*(part.format(files / "regression.npz") for part in command))
    assert done.status == 2 and len(done.err) == 1 and "regression" in done.err[0]


def test_a_row_that_needs_classes_is_refused_before_the_first_run(files: Path, dalib: Dalib) -> None:
    done = dalib("run", write_suite(files, "regression", "mcc"), "--store", files / "none")
    assert done.status == 2 and "mcc needs classification" in done.err[-1]
    assert not list((files / "none").rglob("*.json"))


def test_verify_reads_answers(files: Path, dalib: Dalib, tmp_path: Path) -> None:
    assert "nothing found" in dalib("data", "verify", files / "regression.npz").out
    arrays = dict(np.load(files / "multilabel.npz")) | {"lab_y": np.full((90, 2), 7)}
    np.savez(tmp_path / "odd.npz", **arrays)
    assert "holds 7" in dalib("data", "verify", tmp_path / "odd.npz").out


def test_list_chooses_by_objective(dalib: Dalib) -> None:
    names = {line.split()[0] for line in dalib("list", "algorithms", "--objective", "regression").out.splitlines()[1:]}
    assert {"mmd", "deep_coral", "source_only"} <= names and not {"mcc", "mdd", "shot"} & names
    assert dalib("list", "backbones", "--objective", "regression").status == 2
    assert "regression" in dalib("list", "algorithms", "--objective", "regresion").err[-1]
