"""Anything can follow a fit from one file of one's own: what it is told, when, and that it costs no wait."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import dalib
from dalib.checks.world import DIM, make_task
from dalib.core.backbone import identity
from dalib.core.errors import DalibError, Diverged
from dalib.core.listener import Listener, RunLike
from dalib.core.registry import LISTENERS, load_plugin
from dalib.core.types import Source, Target
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.fleet import Member, fit_fleet
from dalib.train.multi_task import MultiTask
from dalib.train.trainer import Trainer
from tests.support.host_reads import HostReads
from tests.support.image_world import Plain, copy_state, differing, make_backbone, make_image_task, recipe

TRACKER = '''"""Tracks a fit in a folder: metrics as CSV, events as lines of JSON."""

import csv
import json
from pathlib import Path

from dalib.core.listener import Listener


class Tracker(Listener):
    def __init__(self, folder="runs"):
        self.folder = Path(folder)
        self.held = []

    def begin(self, run):
        self.held = []
        hparams = run.fitted.algorithm.hparams
        self.say(event="begin", task=run.task, seed=run.seed, lr=run.recipe["lr"], hparams=hparams)

    def begin_descent(self, run):
        self.say(event="descent", last=run.last, points=sorted(run.points))

    def after_step(self, run, step, terms):
        self.held.append((step, terms))

    def after_evaluation(self, run, step, candidate):
        self.say(event="evaluation", **candidate)

    def end(self, run, error):
        self.say(event="end", error=repr(error) if error else "", steps=run.steps)
        names = list(dict.fromkeys(name for _, terms in self.held for name in terms))
        with (self.folder / "terms.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["step", *names])
            rows.writerows([step, *(float(terms[n]) if n in terms else "" for n in names)] for step, terms in self.held)

    def state_dict(self):
        return {"held": [(step, dict(terms)) for step, terms in self.held]}

    def load_state_dict(self, state):
        self.held = list(state["held"])

    def say(self, **facts):
        with (self.folder / "events.jsonl").open("a") as file:
            file.write(json.dumps(facts) + "\\n")
'''


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[type[Listener]]:
    """The class of a plug-in file of one's own."""
    path = tmp_path / "tracker.py"
    path.write_text(TRACKER, encoding="utf-8")
    assert load_plugin(path) == {"listeners": ["tracker"]}
    yield LISTENERS.get("tracker")
    LISTENERS._extra.pop("tracker")


def read_events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def read_terms(folder: Path) -> list[dict[str, str]]:
    with (folder / "terms.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def train(listeners: list[Listener], path: Path | None = None, kill_at: int = 0, **changes: Any) -> Fitted:
    def kill(step: int, steps: int) -> None:
        if step == kill_at:
            raise KeyboardInterrupt

    trainer = Trainer(
        recipe(**{"steps": 30, **changes}), seed=5, device="cpu", listeners=listeners, report=kill,
        evaluate=lambda fitted, step: {"half": step / 2}, checkpoint=path, checkpoint_seconds=-1.0,
    )  # fmt: skip
    return trainer.fit(Plain(), make_image_task(), make_backbone(dropout=0.3))


def test_the_ones_that_come_with_the_package_are_plug_ins() -> None:
    files = sorted(p.stem for p in (Path(dalib.__file__).parent / "train" / "listeners").glob("[a-z]*.py"))
    assert set(files) <= set(LISTENERS.names()) and len(files) >= 5
    assert all(issubclass(LISTENERS.get(name), Listener) for name in files)


def test_a_file_of_ones_own_sees_every_step_the_evaluations_and_the_end(tracker: Any, tmp_path: Path) -> None:
    fitted = train([tracker(tmp_path)])
    assert read_events(tmp_path) == [
        {"event": "begin", "task": "source->target", "seed": 5, "lr": 0.05, "hparams": {}},
        {"event": "descent", "last": 30, "points": [10, 20, 30]},
        *({"event": "evaluation", "step": step, "half": step / 2} for step in (10, 20, 30)),
        {"event": "end", "error": "", "steps": 30},
    ]
    rows = read_terms(tmp_path)
    assert [row["step"] for row in rows] == [str(step) for step in range(1, 31)]
    assert list(rows[0]) == ["step", "ce", "gap"]
    for name in ("ce", "gap"):
        means = [sum(float(row[name]) for row in rows[i : i + 10]) / 10 for i in (0, 10, 20)]
        assert fitted.curve[name] == pytest.approx(means, rel=1e-5)


def test_following_changes_no_number(tracker: Any, tmp_path: Path) -> None:
    alone, followed = train([]), train([tracker(tmp_path), tracker(tmp_path)])
    assert differing(copy_state(alone.algorithm), copy_state(followed.algorithm)) == []
    assert (alone.curve, alone.candidates) == (followed.curve, followed.candidates)


def test_what_it_gathered_is_in_the_checkpoint(tracker: Any, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("whole", "killed")]
    for folder in folders:
        folder.mkdir()
    train([tracker(folders[0])])
    for kill_at in (10, 20):
        with pytest.raises(KeyboardInterrupt):
            train([tracker(folders[1])], tmp_path / "checkpoint.pt", kill_at)
    assert [e["error"] for e in read_events(folders[1]) if e["event"] == "end"] == ["KeyboardInterrupt()"] * 2
    train([tracker(folders[1])], tmp_path / "checkpoint.pt")
    assert read_terms(folders[0]) == read_terms(folders[1])


def test_a_listener_that_joins_a_resumed_fit_begins_there(tracker: Any, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train([], tmp_path / "checkpoint.pt", kill_at=20)
    train([tracker(tmp_path)], tmp_path / "checkpoint.pt")
    assert [row["step"] for row in read_terms(tmp_path)] == [str(step) for step in range(20, 31)]


def test_an_error_is_told_and_passes(tracker: Any, tmp_path: Path) -> None:
    class Breaks(Plain):
        def loss(self, source: Source, target: Target, progress: float | Tensor) -> dict[str, Tensor]:
            return {"bad": super().loss(source, target, progress)["ce"] * torch.where(progress >= 0.5, torch.nan, 1.0)}

    with pytest.raises(Diverged):
        Trainer(recipe(steps=12), device="cpu", listeners=[tracker(tmp_path)]).fit(
            Breaks(), make_image_task(), make_backbone()
        )
    end = read_events(tmp_path)[-1]
    assert end["event"] == "end" and "'bad' became nan at step 6" in end["error"]


class Waits(Listener):
    """Counts what the host waits for in the engine between its steps, and looks at what it is given."""

    def __init__(self) -> None:
        self.shapes: set[Any] = set()
        self.mode = HostReads()

    def begin_descent(self, run: RunLike) -> None:
        self.mode.__enter__()

    def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
        self.shapes |= {(t.shape, t.requires_grad, t.grad_fn) for t in terms.values()}

    def end_descent(self, run: RunLike) -> None:
        self.mode.__exit__(None, None, None)


def test_terms_are_detached_scalars_and_the_engine_waits_for_none_of_them() -> None:
    waits = Waits()
    config = TrainConfig(steps=15, batch_size=8, bottleneck=4, evaluations=1)
    Trainer(config, device="cpu", listeners=[waits]).fit(dalib.MMD(), make_task(), identity(DIM))
    assert waits.shapes == {(torch.Size([]), False, None)}
    inside = [line for line in waits.mode.found if "curve.py" not in line]
    assert inside == [], inside
    assert len(waits.mode.found) == 1, "the curve, which reads its window of fifteen steps at the end"


def test_a_listener_adds_to_candidates() -> None:
    class Norm(Listener):
        def evaluate(self, run: RunLike, step: int) -> dict[str, Any]:
            return {"norm": float(run.fitted.algorithm.network.head.weight.detach().norm())}

    candidates = train([Norm()]).candidates
    assert [set(c) for c in candidates] == [{"step", "half", "norm"}] * 3
    assert len({c["norm"] for c in candidates}) == 3


def test_solved_methods_and_several_descents_are_followed_too(tracker: Any, tmp_path: Path) -> None:
    for algorithm in (dalib.CORAL(), dalib.SHOT()):
        config = TrainConfig(steps=10, batch_size=8, bottleneck=4, evaluations=1)
        Trainer(config, device="cpu", listeners=[tracker(tmp_path)]).fit(algorithm, make_task(), identity(DIM))
    told = [(e["event"], e.get("last")) for e in read_events(tmp_path)]
    solved = [("begin", None), ("evaluation", None), ("end", None)]
    assert told[:3] == solved
    assert [t for t in told[3:] if t[0] != "evaluation"] == [
        ("begin", None),
        ("descent", 5),
        ("descent", 10),
        ("end", None),
    ]


def test_every_run_of_a_fleet_tells_its_own(tracker: Any, tmp_path: Path) -> None:
    def trainer(seed: int, folder: Path) -> Trainer:
        folder.mkdir()
        config = TrainConfig(steps=9, batch_size=8, bottleneck=4, evaluations=3)
        return Trainer(config, seed=seed, device="cpu", listeners=[tracker(folder)])

    members = [Member(trainer(s, tmp_path / f"{s}"), dalib.MMD(), make_task(), identity(DIM)) for s in (0, 1)]
    assert all(isinstance(fitted, Fitted) for fitted in fit_fleet(members))
    for seed in (0, 1):
        trainer(seed, tmp_path / f"alone {seed}").fit(dalib.MMD(), make_task(), identity(DIM))
        assert read_events(tmp_path / f"{seed}") == read_events(tmp_path / f"alone {seed}")
        together, alone = read_terms(tmp_path / f"{seed}"), read_terms(tmp_path / f"alone {seed}")
        assert [row["step"] for row in together] == [row["step"] for row in alone]
        for a, b in zip(together, alone, strict=True):
            assert [float(v) for v in a.values()] == pytest.approx([float(v) for v in b.values()], rel=1e-3, abs=1e-5)


def test_a_listener_that_fails_is_that_runs_own_in_a_fleet() -> None:
    class Fails(Listener):
        def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
            raise DalibError("the disk is full")

    config = TrainConfig(steps=3, batch_size=8, bottleneck=4, evaluations=1)
    trainers = [Trainer(config, device="cpu", listeners=[Fails()] * failing) for failing in (0, 1)]
    results = fit_fleet([Member(t, dalib.MMD(), make_task(), identity(DIM)) for t in trainers])
    assert isinstance(results[0], Fitted) and isinstance(results[1], DalibError)


def test_several_tasks_at_once_are_followed_as_one_fit(tmp_path: Path) -> None:
    told: list[Any] = []

    class Follower(Listener):
        def begin(self, run: RunLike) -> None:
            told.append((run.task, run.steps, sorted(run.fitted)))

        def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
            told.append((step, list(terms)))

        def end(self, run: RunLike, error: BaseException | None) -> None:
            told.append(error)

    tasks: dict[str, Any] = {name: (make_image_task(), Plain()) for name in ("object", "style")}
    MultiTask(recipe(steps=2), device="cpu", listeners=[Follower()]).fit(tasks, make_backbone())
    names = ["object.ce", "object.gap", "style.ce", "style.gap"]
    assert told == [("object+style", 2, ["object", "style"]), (1, names), (2, names), None]
