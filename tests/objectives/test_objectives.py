"""Objectives against references computed by hand, and end to end: trained, predicted, on arrays and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import dalib
from dalib import Domain, Task, TrainConfig, Trainer
from dalib.core.backbone import identity
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.objective import find_objective
from dalib.core.registry import ALGORITHMS, OBJECTIVES
from dalib.data.catalog import load_data
from dalib.records.store import Store
from dalib.scoring.rescore import rescore


@pytest.mark.parametrize("name", [n for n in OBJECTIVES.names() if not OBJECTIVES.get(n).structured])
def test_every_objective_says_its_name_and_metrics_and_the_loss_is_the_mean_of_rows(name):
    objective = find_objective(name)
    assert objective.name == name and objective.metrics
    torch.manual_seed(0)
    prediction = torch.randn(6, 3, *((4, 5) if objective.dense else ()), dtype=torch.float64)
    y = {
        "classification": torch.tensor([0, 1, 2, 0, 1, 2]),
        "multilabel": torch.randint(-1, 2, (6, 3)),
        "segmentation": torch.randint(0, 3, (6, 4, 5)),
    }.get(name, torch.randn(6, 3, dtype=torch.float64))
    rows = objective.row_losses(prediction, y)
    assert rows.shape == (6,) and torch.allclose(rows.mean(), objective.loss(prediction, y), rtol=1e-12)


def test_multilabel_is_binary_cross_entropy_of_what_was_annotated():
    prediction, y = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]]), np.array([[1, 0, -1], [-1, -1, 1]])
    p = 1 / (1 + np.exp(-prediction))
    expected = [(-np.log(p[0, 0]) - np.log(1 - p[0, 1])) / 2, -np.log(p[1, 2])]
    objective = find_objective("multilabel")
    found = objective.row_losses(torch.tensor(prediction), torch.tensor(y))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    assert objective.decide(torch.tensor(prediction)).tolist() == [[1, 0, 1], [0, 1, 0]]
    assert float(objective.loss(torch.zeros(1, 2), torch.tensor([[-1, -1]]))) == 0


def test_regression_is_squared_error():
    prediction, y = np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([[0.0, 2.5], [1.0, 1.0]])
    found = find_objective("regression").row_losses(torch.tensor(prediction), torch.tensor(y))
    np.testing.assert_allclose(found.numpy(), ((prediction - y) ** 2).mean(1), rtol=1e-12)


def _world(objective: str, n: int = 160, shift: float = 0.5) -> Task:
    """Answers are a linear function of eight features; the target's features are moved."""
    rng = np.random.default_rng(0)
    W = np.random.default_rng(1).standard_normal((8, 2))

    def make(name: str, moved: float) -> Domain:
        x = rng.standard_normal((n, 8))
        y = x @ W + 0.1 * rng.standard_normal((n, 2))
        y = (y > 0).astype(np.int64) if objective == "multilabel" else y.astype(np.float32)
        return Domain(name, (x + moved).astype(np.float32), y, ("left", "right"), name, objective=objective)

    source, target = make("source", 0.0), make("target", shift)
    return Task("source->target", source, target.unlabelled(), source.take(np.arange(0), "none"), target)


def _fit(task: Task, algorithm: dalib.Algorithm, **recipe: object):
    config = TrainConfig(steps=200, batch_size=32, bottleneck=0, lr=0.05, evaluations=1, **recipe)  # type: ignore[arg-type]
    return Trainer(config, device="cpu").fit(algorithm, task, identity(8))


def test_regression_trains_to_what_least_squares_finds():
    task = _world("regression")
    fitted = _fit(task, dalib.SourceOnly(), weight_decay=0.0)
    outputs = fitted.outputs(task.labelled)
    x, y = np.asarray(task.labelled.x, np.float64), task.labelled.labels
    A = np.hstack([x, np.ones((len(x), 1))])
    best = np.square(A @ np.linalg.lstsq(A, y, rcond=None)[0] - y).mean()
    reached = np.square(outputs.prediction.numpy() - y).mean()
    assert outputs.y is not None and outputs.y.dtype == torch.float32 and outputs.prediction.shape == (160, 2)
    assert list(fitted.curve) == ["step", "regression"]
    assert reached < 1.1 * best + 1e-3 < 0.05


def test_multilabel_trains():
    task = _world("multilabel", shift=0.0)
    fitted = _fit(task, dalib.SourceOnly(), weight_decay=0.0)
    answer = find_objective("multilabel").decide(fitted.outputs(task.test).prediction).numpy()
    assert (answer == task.test.labels).mean() > 0.9 and list(fitted.curve) == ["step", "multilabel"]


@pytest.mark.parametrize("name", ["dann", "mmd", "deep_coral", "ddc", "wdgrl", "l2_sp", "lp_ft", "adda", "mdan"])
@pytest.mark.parametrize("objective", ["regression", "multilabel"])
def test_what_works_on_features_works_on_every_objective(name, objective):
    task = _world(objective)
    config = TrainConfig(steps=10, batch_size=16, bottleneck=8, lr=0.02, evaluations=1)
    outputs = Trainer(config, device="cpu").fit(ALGORITHMS.get(name)(), task, identity(8)).outputs(task.test)
    assert outputs.prediction.shape == (160, 2) and outputs.prediction.isfinite().all()


@pytest.mark.parametrize("objective", ["regression", "multilabel"])
def test_what_is_suggested_works_at_its_defaults(objective):
    names = ALGORITHMS.suggest_for(objective).removeprefix("take one of ").partition(" (")[0].split(", ")
    assert len(names) > 8 and "sdat" in ALGORITHMS.able(objective), "it works with another base"
    for name in names:
        ALGORITHMS.get(name)().attach(Network(identity(8), 2, 4, objective=find_objective(objective)))


@pytest.mark.parametrize(
    "name",
    [n for n in ALGORITHMS.able("classification") if n not in ALGORITHMS.able("regression")],
)
def test_what_needs_classes_is_refused_with_those_that_work(name):
    with pytest.raises(
        DalibError, match=f"{name} needs classification, but the labels are for regression; take one of"
    ):
        _fit(_world("regression", n=20), ALGORITHMS.get(name)())


def test_a_sum_needs_what_its_parts_need():
    assert (dalib.DANN() + dalib.MMD()).objectives == ("any",)
    assert (dalib.DANN() + dalib.MCC()).objectives == ("classification",)


def test_a_feature_file_of_numbers_is_read_split_and_trained_on(tmp_path):
    task = _world("regression")
    arrays = {f"{d.name}_{k}": v for d in (task.labelled, task.test) for k, v in (("x", d.x), ("y", d.labels))}
    np.savez(tmp_path / "numbers.npz", objective="regression", classes=np.array(["left", "right"]), **arrays)
    data = load_data(f"features:{tmp_path / 'numbers.npz'}")
    assert data.objective == "regression" and data.classes == ("left", "right") and data.counts["source"] == 160
    made = dalib.make_task(data, "source", "target", validation=0.25)
    assert made.objective == "regression" and len(made.validation) == 40
    fitted = _fit(made, dalib.MMD())
    assert fitted.outputs(made.validation).prediction.shape == (40, 2)
    assert made.test.labels.dtype == np.float32


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"objective": "regresion"}, "no objective named 'regresion'; did you mean 'regression'"),
        ({"objective": "regression", "a_y": np.array([[np.nan], [0.0]])}, "a_y holds float64 values, or NaN"),
        ({"objective": "multilabel", "a_y": np.array([[2, 0], [0, 1]])}, "a_y holds 2; answers are 0, 1, or -1"),
        ({"objective": "regression", "a_y": np.zeros((3, 1))}, r"a_y has shape \(3, 1\) but there are 2 rows"),
        ({"objective": "regression", "classes": np.array(["one", "two"])}, "classes must be 1 distinct names"),
    ],
)
def test_answers_that_are_wrong_are_one_clear_line(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **({"a_x": np.ones((2, 3)), "a_y": np.zeros((2, 1))} | arrays))
    with pytest.raises(DalibError, match=message):
        load_data(f"features:{tmp_path / 'bad.npz'}")


def _write(task: Task, path: Path) -> str:
    arrays = {f"{d.name}_{k}": v for d in (task.labelled, task.test) for k, v in (("x", d.x), ("y", d.labels))}
    np.savez(path, objective=task.objective, **arrays)
    return f"features:{path}"


@pytest.mark.parametrize(("objective", "metric"), [("regression", "mae"), ("multilabel", "mean_average_precision")])
def test_a_suite_of_other_answers_is_run_tabulated_and_rescored(objective, metric, tmp_path):
    """Its first metric is the table's; rescoring finds nothing missing, for validators read classes."""
    suite = tmp_path / "numbers.toml"
    name = _write(_world(objective, n=60), tmp_path / "rows.npz")
    suite.write_text(
        f'dataset = "{name}"\ntasks = ["source->target"]\nseeds = [0]\nalgorithms = ["mmd"]\ntrain.steps = 5\n'
    )
    assert dalib.run_suite(suite, store=tmp_path / "runs", device="cpu").failed == 0
    store = Store(tmp_path / "runs")
    manifest = store.manifest("numbers")
    [record] = store.records(manifest.keys)
    metrics, scores = dict(record.candidates[-1].metrics), dict(record.candidates[-1].scores)
    assert f"target_{metric}" in metrics and "target_accuracy" not in metrics and not scores
    assert rescore(store, manifest).complete == 1
    [again] = store.records(manifest.keys)
    assert (again.candidates[-1].metrics, again.candidates[-1].scores) == (metrics, scores)
    run = dalib.fit(name, "source", "target", "mmd", train={"steps": 5}, device="cpu")
    assert run.metric == metric and abs(run.values["target"] - metrics[f"target_{metric}"]) < 1e-5


@pytest.mark.parametrize("objective", ["regression", "multilabel"])
def test_a_model_file_keeps_the_objective_and_tells_its_answers(objective, tmp_path):
    task = _world(objective)
    fitted = _fit(task, dalib.MMD())
    again = dalib.load_model(dalib.save_model(fitted, tmp_path / "model"), device="cpu")
    assert again.algorithm.objective.name == objective
    assert torch.equal(again.outputs(task.test).prediction, fitted.outputs(task.test).prediction)
    frame = dalib.predict(tmp_path / "model.safetensors", np.asarray(task.test.x)).frame()
    told = again.algorithm.objective.decide(again.outputs(task.test).prediction).numpy()
    assert list(frame) == ["file", "left", "right"] and np.array_equal(frame[["left", "right"]].to_numpy(), told)
