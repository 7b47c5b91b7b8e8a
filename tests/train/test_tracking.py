"""Trackers tell a service what a fit's own records say, change no number of it, and never stop it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dalib
from dalib.checks.listener import LISTENER_CHECKS
from dalib.checks.world import DIM, make_task
from dalib.cli import main
from dalib.core.backbone import identity
from dalib.core.errors import DalibError
from dalib.core.listener import Listener
from dalib.core.registry import LISTENERS
from dalib.records.store import Store
from dalib.train import tracking
from dalib.train.config import TrainConfig
from dalib.train.tracking import Tracker, find_numbers, free_folder, make_tracker, plain_name
from dalib.train.trainer import Trainer

CONFIG = TrainConfig(steps=9, batch_size=8, bottleneck=4, evaluations=3)
SERVICES = ("mlflow", "tensorboard", "wandb")


class Memory(Tracker):
    """A service that remembers."""

    def open(self, name: str, settings: Mapping[str, Any], known: str) -> str:
        self.told: list[tuple[int, dict[str, float]]] = []
        self.opened, self.ended = (name, dict(settings), known), None
        return known or "7"

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.told.append((step, dict(values)))

    def close(self, failed: bool) -> None:
        self.ended = failed


def fit(tracker: Listener, evaluate: Any = None) -> Any:
    trainer = Trainer(CONFIG, seed=5, device="cpu", evaluate=evaluate, listeners=[tracker])
    return trainer.fit(dalib.DANN(weight=0.5), make_task(), identity(DIM))


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with rows of two domains and a suite of two rows on them."""
    monkeypatch.chdir(tmp_path)
    chance, y = np.random.default_rng(0), np.arange(40) % 2
    x = {f"{d}_x": (y[:, None] * 2 + chance.normal(size=(40, 4))).astype(np.float32) for d in "ab"}
    np.savez("toy.npz", **x, a_y=y, b_y=y)
    head = 'dataset = "features:toy.npz"\ntasks = ["a->b"]\nseeds = [0, 1]\n[train]\nsteps = 4\nevaluations = 2\n'
    Path("tiny.toml").write_text(f"{head}[algorithms]\nsource_only = {{}}\nlinear = {{ algorithm = 'linear_probe' }}\n")
    return tmp_path


@pytest.fixture
def memories(monkeypatch: pytest.MonkeyPatch) -> list[Memory]:
    """The trackers that were made by the name `memory`."""
    made: list[Memory] = []

    def keep(self: Memory, *args: Any, **options: Any) -> None:
        Tracker.__init__(self, *args, **options)
        made.append(self)

    monkeypatch.setattr(Memory, "__init__", keep)
    monkeypatch.setattr(LISTENERS, "_extra", {**LISTENERS._extra, "memory": Memory})
    return made


@pytest.mark.parametrize("check", LISTENER_CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
def test_every_tracker_keeps_the_contract_of_listeners(check: Callable[[type[Listener]], None]) -> None:
    check(Memory)


@pytest.mark.parametrize("window", [1, 2, 50])
def test_it_is_told_the_means_of_the_curve_the_candidates_and_the_settings(window: int) -> None:
    tracker = Memory(window=window)
    fitted = fit(
        tracker, lambda fitted, step: {"metrics": {"target_accuracy": step / 9}, "arrays": {"z": torch.ones(2)}}
    )
    losses = [(step, values) for step, values in tracker.told if any(name.startswith("loss/") for name in values)]
    assert [step for step, _ in losses if step % 3 == 0] == [3, 6, 9]
    if window == 50:
        for name in ("classification", "adversarial"):
            assert [values[f"loss/{name}"] for _, values in losses] == pytest.approx(fitted.curve[name], rel=1e-5)
    told = {step: values for step, values in tracker.told if "metrics/target_accuracy" in values}
    assert told == {step: {"metrics/target_accuracy": pytest.approx(step / 9)} for step in (3, 6, 9)}
    name, settings, known = tracker.opened
    assert (name, known, tracker.ended) == ("dann m->n seed 5".replace("m->n", make_task().name), "", False)
    assert settings["algorithm"] == "dann" and settings["algorithm.weight"] == 0.5 and settings["train.steps"] == 9


def test_a_training_that_was_stopped_goes_on_where_the_service_had_it(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(step: int, steps: int) -> None:
        raise Stopped

    config = CONFIG.model_copy(update={"steps": 12})
    where: dict[str, Any] = {"device": "cpu", "checkpoint": tmp_path / "state", "checkpoint_seconds": -1.0}
    first, second = Memory(window=2), Memory(window=2)
    with pytest.raises(Stopped):
        Trainer(config, report=stop, listeners=[first], **where).fit(dalib.MMD(), make_task(), identity(DIM))
    assert first.ended is True
    Trainer(config, listeners=[second], **where).fit(dalib.MMD(), make_task(), identity(DIM))
    assert first.opened[2] == "" and second.opened[2] == "7" and min(step for step, _ in second.told) > 9


def test_a_service_that_fails_is_left_out_and_the_fit_goes_on() -> None:
    class Broken(Memory):
        def log(self, step: int, values: Mapping[str, float]) -> None:
            super().log(step, values)
            raise OSError("no room")

    tracker = Broken()
    with pytest.warns(UserWarning, match=r"tracker Broken at .* fails and is left out: OSError: no room"):
        fitted = fit(tracker)
    assert len(tracker.told) == 1 and tracker.ended is None and fitted.curve == fit(Memory()).curve


def test_only_finite_numbers_are_told() -> None:
    candidate = {
        "step": 3,
        "metrics": {"a": 1, "b": math.nan, "c": True},
        "scores": {"d": {"e": 0.5}},
        "x": torch.ones(1),
    }
    assert find_numbers(candidate) == {"metrics/a": 1.0, "scores/d/e": 0.5}


def test_names_are_fit_for_folders_and_a_folder_is_never_shared(tmp_path: Path) -> None:
    assert plain_name("dann+mcc a->b/../c: seed 0") == "dann+mcc-a-b-..-c-seed-0" and plain_name("//") == "run"
    assert [free_folder(tmp_path / "x").name for _ in range(3)] == ["x", "x-2", "x-3"]


def test_a_tracker_that_is_not_there_is_said_before_anything_runs(
    toy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["run", "tiny.toml", "--track", "tensorbord"]) == 2
    assert "no tracker named 'tensorbord'; did you mean 'tensorboard'?" in capsys.readouterr().err
    assert main(["run", "tiny.toml", "--track", "step_log"]) == 2
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda name: None)
    for name in SERVICES:
        with pytest.raises(DalibError, match=rf"needs the package {name}: pip install 'dalib-toolkit\[{name}\]'"):
            make_tracker(name)
    assert not list(Path("results").rglob("*.json"))


def test_a_tracked_training_has_the_same_numbers_and_its_accuracies_are_told(toy: Path, memories: list[Memory]) -> None:
    how: dict[str, Any] = {"train": {"steps": 4, "evaluations": 2}}
    plain = dalib.fit("features:toy.npz", "a", "b", "dann", **how)
    tracked = dalib.fit("features:toy.npz", "a", "b", "dann", **how, track=["memory=there"])
    (tracker,) = [memory for memory in memories if memory.told]
    assert plain.values == tracked.values and tracker.place == "there"
    told = {
        step: values["metrics/target_accuracy"] for step, values in tracker.told if "metrics/target_accuracy" in values
    }
    assert set(told) == {2, 4} and told[4] == pytest.approx(list(tracked.values.values())[-1], abs=1e-6)


@pytest.mark.parametrize("fleet", ["off", "on"])
def test_every_run_of_a_suite_is_told_under_its_label(toy: Path, memories: list[Memory], fleet: Any) -> None:
    dalib.run_suite("tiny.toml", store="plain")
    dalib.run_suite("tiny.toml", store="tracked", track=["memory"], fleet=fleet)
    told = {memory.opened[0]: memory for memory in memories if hasattr(memory, "told")}
    assert set(told) == {f"{label} a->b seed {seed}" for label in ("source_only", "linear") for seed in (0, 1)}
    assert {memory.group for memory in told.values()} == {"tiny"} and not any(memory.ended for memory in told.values())
    plain, tracked = Store(toy / "plain"), Store(toy / "tracked")
    for record in plain.records():
        again = tracked.get(record.key)
        assert [c.metrics for c in again.candidates] == [c.metrics for c in record.candidates] or fleet == "on"
        last = told[
            f"{'linear' if record.spec.algorithm == 'linear_probe' else 'source_only'} a->b seed {record.spec.seed}"
        ]
        accuracy = {step: v["metrics/target_accuracy"] for step, v in last.told if "metrics/target_accuracy" in v}
        assert accuracy == {c.step: c.metrics["target_accuracy"] for c in again.candidates}


def test_tensorboard_has_what_was_told(toy: Path) -> None:
    pytest.importorskip("tensorboard", reason="optional dependency (pip install 'dalib-toolkit[tensorboard]')")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):
        run = dalib.fit("features:toy.npz", "a", "b", "dann", train={"steps": 4}, track=["tensorboard=logs"])
    folders = sorted(path.name for path in Path("logs/dalib").iterdir())
    assert folders == ["dann-a-b-seed-0", "dann-a-b-seed-0-2"]
    events = EventAccumulator(f"logs/dalib/{folders[1]}").Reload()
    assert {"loss/adversarial", "loss/classification", "metrics/target_accuracy"} <= set(events.Tags()["scalars"])
    last = events.Scalars("metrics/target_accuracy")[-1]
    assert last.step == 4 and last.value == pytest.approx(run.values["target"], abs=1e-6)


def test_mlflow_has_what_was_told(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="optional dependency (pip install 'dalib-toolkit[mlflow]')")
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    dalib.run_suite("tiny.toml", track=["mlflow=runs"], store="kept")
    client = MlflowClient(tracking_uri=(toy / "runs").as_uri())
    runs = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    records = {(r.spec.algorithm, r.spec.seed): r for r in Store(toy / "kept").records()}
    assert len(runs) == len(records) == 4 and {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        record = records[run.data.params["algorithm"], int(run.data.params["seed"])]
        assert run.data.metrics["metrics/target_accuracy"] == record.candidates[-1].metrics["target_accuracy"]


def test_wandb_writes_files_and_sends_nothing(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="optional dependency (pip install 'dalib-toolkit[wandb]')")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    dalib.fit("features:toy.npz", "a", "b", "dann", train={"steps": 4}, track=["wandb=logs"])
    (folder,) = Path("logs/wandb").glob("offline-run-*")
    (written,) = folder.glob("run-*.wandb")
    content = written.read_bytes()
    assert b"metrics/target_accuracy" in content and b"loss/adversarial" in content and b"dann a->b seed 0" in content
    assert json.dumps("train.steps").encode() in content or b"train.steps" in content
