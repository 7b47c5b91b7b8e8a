"""The log of steps has one line per step, whatever ends a fit, and a resumed one goes on in the same file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import dalib
from dalib.checks.listener import LISTENER_CHECKS
from dalib.checks.world import DIM, make_task
from dalib.core.backbone import identity
from dalib.core.errors import DalibError, Diverged
from dalib.core.listener import Listener
from dalib.fitting import make_listener
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.fleet import Member, fit_fleet
from dalib.train.listeners.step_log import StepLog
from dalib.train.multi_task import MultiTask
from dalib.train.trainer import Trainer
from tests.support.host_reads import HostReads
from tests.support.image_world import Plain, make_backbone, make_image_task, recipe

CONFIG = TrainConfig(steps=9, batch_size=8, bottleneck=4, evaluations=3)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def train(log: StepLog, algorithm: Any = None, config: TrainConfig = CONFIG) -> Fitted:
    trainer = Trainer(config, device="cpu", listeners=[log])
    return trainer.fit(algorithm or dalib.MMD(), make_task(), identity(DIM))


@pytest.mark.parametrize("check", LISTENER_CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
def test_it_keeps_the_contract_of_listeners(check: Callable[[type[Listener]], None]) -> None:
    check(StepLog)


@pytest.mark.parametrize("window", [1, 4, 50])
def test_every_step_is_a_line_with_its_terms(window: int, tmp_path: Path) -> None:
    fitted = train(StepLog(tmp_path / "new" / "log.jsonl", window))
    found = rows(tmp_path / "new" / "log.jsonl")
    assert [row["step"] for row in found] == [*range(1, 10)]
    assert all(list(row) == ["step", *list(fitted.curve)[1:]] for row in found) and len(fitted.curve) == 3
    for name in list(fitted.curve)[1:]:
        means = [sum(row[name] for row in found[i : i + 3]) / 3 for i in (0, 3, 6)]
        assert fitted.curve[name] == pytest.approx(means, rel=1e-5)


def test_of_several_fits_the_file_holds_the_last(tmp_path: Path) -> None:
    log = StepLog(tmp_path / "log.jsonl")
    train(log)
    train(log, dalib.SourceOnly(), CONFIG.model_copy(update={"steps": 2}))
    assert [list(row) for row in rows(log.path)] == [["step", "classification"]] * 2
    train(log, dalib.CORAL())
    assert [row["step"] for row in rows(log.path)] == [1, 2], "a method that solves has no steps to write"


def test_the_steps_of_several_descents_follow_each_other(tmp_path: Path) -> None:
    train(StepLog(tmp_path / "log.jsonl"), dalib.SHOT())
    assert [row["step"] for row in rows(tmp_path / "log.jsonl")] == [*range(1, 10)]


def test_a_killed_and_resumed_fit_leaves_the_file_of_an_uninterrupted_one(tmp_path: Path) -> None:
    """Lines that were written after the checkpoint are cut off."""

    def fit(name: str, kill_at: int = 0, seconds: float = -1.0) -> None:
        def kill(step: int, steps: int) -> None:
            if step == kill_at:
                raise KeyboardInterrupt

        trainer = Trainer(
            recipe(steps=40), seed=5, device="cpu", listeners=[StepLog(tmp_path / name, 7)], report=kill,
            checkpoint=tmp_path / f"{name}.checkpoint", checkpoint_seconds=seconds,
        )  # fmt: skip
        trainer.fit(Plain(), make_image_task(), make_backbone())

    fit("whole")
    for kill_at, seconds in ((10, -1.0), (20, -1.0), (30, 1e9)):
        with pytest.raises(KeyboardInterrupt):
            fit("killed", kill_at, seconds)
    assert len(rows(tmp_path / "killed")) == 30
    fit("killed")
    assert (tmp_path / "killed").read_bytes() == (tmp_path / "whole").read_bytes()


def test_where_its_lines_are_gone_the_file_begins_at_the_resumed_step(tmp_path: Path) -> None:
    log = StepLog(tmp_path / "log.jsonl")
    log.load_state_dict({"size": 100})
    log.after_step(Points(), 8, {"loss": torch.tensor(0.5)})
    log.flush()
    assert log.path.read_text(encoding="utf-8") == '{"step": 8, "loss": 0.5}\n'


class Points:
    """All that is asked of a run."""

    points: frozenset[int] = frozenset()


def test_a_diverged_fit_keeps_its_steps_and_what_is_not_finite_is_null(tmp_path: Path) -> None:
    class Breaks(dalib.SourceOnly):  # type: ignore[misc]
        def adapt(self, source: Any, target: Any, progress: Any) -> dict[str, Any]:
            return {"bad": 0 * source.z.sum() + torch.where(progress >= 0.5, math.inf, 1.0)}

    with pytest.raises(Diverged):
        train(StepLog(tmp_path / "log.jsonl"), Breaks(), CONFIG.model_copy(update={"evaluations": 1}))
    found = [row["bad"] for row in rows(tmp_path / "log.jsonl")]
    assert found[:5] == [1.0] * 5 and set(found[5:]) <= {None}


def test_terms_that_come_and_go_are_where_they_were(tmp_path: Path) -> None:
    log = StepLog(tmp_path / "log.jsonl")
    for step, terms in enumerate(({"a": 1.0}, {}, {"b": 2.0, "a": 3.0}), start=1):
        log.after_step(Points(), step, {name: torch.tensor(value) for name, value in terms.items()})
    log.flush()
    assert rows(log.path) == [{"step": 1, "a": 1.0}, {"step": 2}, {"step": 3, "b": 2.0, "a": 3.0}]


def test_terms_are_read_once_per_window() -> None:
    log, terms = StepLog(window=50), {"a": torch.ones(()), "b": torch.ones(())}
    with HostReads() as reads:
        for step in range(49):
            log.after_step(Points(), step, terms)
    assert reads.found == []


def test_runs_of_a_fleet_and_several_tasks_are_logged(tmp_path: Path) -> None:
    for folder in ("alone", "fleet"):
        trainers = [
            Trainer(CONFIG, seed=s, device="cpu", listeners=[StepLog(tmp_path / folder / f"{s}")]) for s in (0, 1)
        ]
        if folder == "fleet":
            fitted = fit_fleet([Member(t, dalib.MMD(), make_task(), identity(DIM)) for t in trainers])
            assert all(isinstance(f, Fitted) for f in fitted)
        else:
            for trainer in trainers:
                trainer.fit(dalib.MMD(), make_task(), identity(DIM))
    for seed in ("0", "1"):
        together, alone = rows(tmp_path / "fleet" / seed), rows(tmp_path / "alone" / seed)
        assert len(together) == 9
        for a, b in zip(together, alone, strict=True):
            assert list(a) == list(b) and [*a.values()] == pytest.approx([*b.values()], rel=1e-3, abs=1e-5)
    tasks: dict[str, Any] = {name: (make_image_task(), Plain()) for name in ("object", "style")}
    MultiTask(recipe(steps=2), device="cpu", listeners=[StepLog(tmp_path / "tasks")]).fit(tasks, make_backbone())
    assert [list(row) for row in rows(tmp_path / "tasks")] == [
        ["step", "object.ce", "object.gap", "style.ce", "style.gap"]
    ] * 2


def test_a_file_that_cannot_be_written_is_told_before_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(DalibError, match="cannot be written"):
        train(StepLog(tmp_path))
    with pytest.raises(DalibError, match="window = 0"):
        StepLog(window=0)


def test_a_listener_by_its_name_has_the_first_argument_behind_the_equals_sign() -> None:
    log = make_listener("step_log=a=b.jsonl")
    assert isinstance(log, StepLog) and log.path == Path("a=b.jsonl")
    assert isinstance(make_listener("step_log"), StepLog)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [("step_lgo", "did you mean 'step_log'"), ("curve", "leave it out"), ("checkpoint=x", "leave it out")],
)
def test_a_listener_that_is_not_to_be_had_is_refused(text: str, remedy: str) -> None:
    with pytest.raises(DalibError, match=remedy):
        make_listener(text)


def test_a_listener_of_ones_own_says_what_its_constructor_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare(Listener):
        """Takes nothing."""

    class Needs(Listener):
        def __init__(self, path: str) -> None:
            self.path = path

    from dalib.core.registry import LISTENERS

    monkeypatch.setattr(LISTENERS, "_extra", {"bare": Bare, "needs": Needs})
    assert isinstance(make_listener("bare"), Bare) and isinstance(make_listener("needs=x"), Needs)
    for text, remedy in (("bare=x", "write it as bare$"), ("needs", "'path'; write it as needs=VALUE")):
        with pytest.raises(DalibError, match=remedy):
            make_listener(text)
