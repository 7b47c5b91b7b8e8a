"""A killed run ends bit for bit as one that was not; a bad checkpoint costs a warning, not the run."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dalib.backbones import load_backbone
from dalib.checks.world import DIM, make_task
from dalib.core.algorithm import Algorithm
from dalib.core.checksum import seal, unseal
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Task
from dalib.train.checkpoint import load_checkpoint, save_checkpoint
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.trainer import Trainer
from tests.support.image_world import Plain, copy_state, differing, make_backbone, make_image_task, recipe

EVERYTHING = {
    "plain": {},
    "augmented": {"augment": "standard", "scale_min": 0.3, "sampler": "class_balanced", "batch_norm": "reestimate"},
    "adamw_separate": {"optimiser": "adamw", "lr": 0.01, "forward": "separate", "augment": "flip", "warmup": 0.3},
    "bf16": {"precision": "bf16", "channels_last": True, "clip": 0.5},
}


def _train(path: Path | None, changes: dict[str, Any], kill_at: int = 0, key: str = "k") -> Fitted:
    def evaluate(fitted: Fitted, step: int) -> dict[str, Any]:
        return {"score": np.float64(step / 7), "logits": {"target": fitted.outputs(task.test).logits.half()}}

    def kill(step: int, steps: int) -> None:
        if step == kill_at:
            raise KeyboardInterrupt

    task = make_image_task()
    trainer = Trainer(
        recipe(steps=30, **changes),
        device="cpu",
        checkpoint=path,
        checkpoint_key=key,
        checkpoint_seconds=-1.0,
        evaluate=evaluate,
        report=kill if kill_at else None,
    )
    return trainer.fit(Plain(), task, make_backbone(dropout=0.3))


@pytest.mark.parametrize("changes", EVERYTHING.values(), ids=EVERYTHING)
def test_a_killed_run_ends_as_an_uninterrupted_one(changes: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "run" / "checkpoint.pt"
    whole = _train(None, changes)
    for kill_at in (10, 20):
        with pytest.raises(KeyboardInterrupt):
            _train(path, changes, kill_at)
        assert [p.name for p in path.parent.iterdir()] == ["checkpoint.pt"]
    resumed = _train(path, changes)
    assert differing(copy_state(whole.algorithm), copy_state(resumed.algorithm)) == []
    assert whole.curve == resumed.curve
    assert [c["step"] for c in resumed.candidates] == [10, 20, 30]
    for a, b in zip(whole.candidates, resumed.candidates, strict=True):
        assert a["score"] == b["score"]
        assert torch.equal(a["logits"]["target"], b["logits"]["target"])
    assert not path.exists()


def test_a_resumed_run_does_not_start_again(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        _train(path, {}, kill_at=20)
    state = torch.load(io.BytesIO(unseal(path.read_bytes())))
    assert state["step"] == 19
    assert [c["step"] for c in state["candidates"]] == [10]


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut short"])
def test_a_damaged_checkpoint_is_ignored_with_a_warning(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="unreadable .*starts again"):
        fitted = _train(path, {})
    assert differing(copy_state(fitted.algorithm), copy_state(_train(None, {}).algorithm)) == []


def test_a_checkpoint_of_another_run_is_ignored_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        _train(path, {"lr": 0.5}, kill_at=20, key="other")
    with pytest.warns(UserWarning, match="another run"):
        fitted = _train(path, {})
    assert differing(copy_state(fitted.algorithm), copy_state(_train(None, {}).algorithm)) == []


def test_a_file_that_is_no_dictionary_is_ignored_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    content = io.BytesIO()
    torch.save([1, 2], content)
    path.write_bytes(seal(content.getvalue()))
    with pytest.warns(UserWarning, match="another run"):
        assert load_checkpoint(path, {}) is None


def test_a_checkpoint_runs_no_code_and_numbers_of_numpy_survive(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"a": [np.float64(0.5), {"b": np.int64(3)}], "t": (1, torch.ones(2))}, {"seed": "1"})
    state = load_checkpoint(path, {"seed": "1"})
    assert state is not None
    assert state["a"] == [0.5, {"b": 3}]
    assert torch.equal(state["t"][1], torch.ones(2))


def test_no_checkpoint_is_no_warning(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "absent.pt", {}) is None


def _moved(task: Task, by: float) -> Task:
    """The same task by name and fingerprint, its target rows moved."""
    return replace(task, target=replace(task.target, x=task.target.x + np.float32(by)))


BASE: dict[str, Any] = {"steps": 12, "batch_size": 8}
OTHERS = {
    "seed": {"seed": 1},
    "rate": {"recipe": {"lr": 0.2}},
    "length": {"recipe": {"steps": 20}},
    "shorter": {"recipe": {"steps": 5}},
    "batch size": {"recipe": {"batch_size": 4}},
    "bottleneck": {"recipe": {"bottleneck": 16}},
    "optimiser": {"recipe": {"optimiser": "adamw"}},
    "algorithm": {"algorithm": "mcc"},
    "hyper-parameter": {"hparams": {"weight": 0.5}},
    "rows under one fingerprint": {"moved": 1.0},
    "source and target exchanged": {"exchanged": True},
}


def _fit_plain(path: Path | None, change: dict[str, Any], stop_at: int = 0) -> Fitted:
    def stop(step: int, steps: int) -> None:
        if step == stop_at:
            raise KeyboardInterrupt

    algorithm: Algorithm = ALGORITHMS.get(change.get("algorithm", "dann"))(**change.get("hparams", {}))
    task = _moved(make_task(), change.get("moved", 0.0))
    if change.get("exchanged"):
        task = replace(task, labelled=task.test, target=task.labelled.unlabelled(), test=task.labelled)
    trainer = Trainer(
        TrainConfig(**(BASE | change.get("recipe", {}))), seed=change.get("seed", 0), device="cpu", checkpoint=path,
        checkpoint_seconds=-1.0, report=stop if stop_at else None,
    )  # fmt: skip
    return trainer.fit(algorithm, task, load_backbone("identity", "none", dim=DIM))


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_a_checkpoint_without_a_key_tells_its_run_by_itself(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        _fit_plain(path, {}, stop_at=10)
    with pytest.warns(UserWarning, match="belongs to another run .*its .* is .*; training starts again"):
        fitted = _fit_plain(path, change)
    assert differing(copy_state(fitted.algorithm), copy_state(_fit_plain(None, change).algorithm)) == []


def test_a_checkpoint_with_a_flipped_bit_is_never_taken(tmp_path: Path) -> None:
    path, chance = tmp_path / "checkpoint.pt", random.Random(0)
    with pytest.raises(KeyboardInterrupt):
        _fit_plain(path, {}, stop_at=10)
    whole = path.read_bytes()
    for _ in range(20):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        with pytest.warns(UserWarning, match="unreadable"):
            assert load_checkpoint(path, {}) is None
