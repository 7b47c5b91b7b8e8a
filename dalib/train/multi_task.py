"""Several tasks at once: one backbone, and for each task its own data, algorithm, bottleneck and head."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError, unknown
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.listener import Listener, RunLike
from dalib.core.memory import hold_memory
from dalib.core.types import Task
from dalib.train.config import TrainConfig
from dalib.train.descent import Descent, set_training
from dalib.train.device import pick_device, seeded
from dalib.train.engine import DescentStep, Engine, followed, listener_states, load_listener_states, update
from dalib.train.fitted import Fitted
from dalib.train.listeners.checkpoint import Checkpoint
from dalib.train.listeners.curve import Curve
from dalib.train.listeners.progress import Progress
from dalib.train.optimiser import make_optimiser, set_rate
from dalib.train.trainer import Trainer


class _Gather(DescentStep):
    """Keeps a step's terms instead of minimising them; there is one call per step."""

    def __call__(self, terms: Terms, only: Sequence[nn.Module] | None = None) -> None:
        self.terms = terms


@dataclass
class _Part:
    """One task's share of the fit."""

    engine: Engine
    descent: Descent
    gather: _Gather
    progress: Tensor
    begun: bool = False

    def step(self) -> Terms:
        """The next step's terms, not minimised."""
        if not self.begun:
            set_training(self.descent.algorithm, self.descent.frozen)
            self.begun = True
        self.descent.prepare(self.engine)
        rows, views = self.descent.draw()
        self.progress.fill_(self.descent.part)
        self.descent.algorithm.step(*self.descent.forward(rows, views), self.progress, self.gather)
        return self.gather.terms

    def end_step(self) -> None:
        """After the optimiser's step."""
        self.descent.algorithm.end_step()
        self.descent.step += 1
        terms = {name: value.detach() for name, value in self.gather.terms.items()}
        for listener in self.engine.listeners:
            listener.after_step(self.engine, self.descent.step, terms)


class _Together(RunLike):
    """All tasks' fits, as the one that listeners follow."""

    def __init__(
        self,
        parts: Mapping[str, _Part],
        config: TrainConfig,
        seed: int,
        weights: Mapping[str, float],
        listeners: Sequence[Listener],
    ) -> None:
        self.parts = parts
        self.config = config
        self.seed = seed
        self.weights = weights
        self.listeners = listeners
        self.task = "+".join(parts)
        self.recipe = config.model_dump()
        self.steps = self.last = config.steps
        self.points = frozenset()
        self.fitted = {name: part.engine.fitted for name, part in parts.items()}
        self.done = 0
        groups: dict[float, list[Tensor]] = {}
        seen: dict[Tensor, None] = {}
        for part in parts.values():
            for group in part.descent.optimiser.param_groups:
                groups.setdefault(group["factor"], []).extend(p for p in group["params"] if p not in seen)
                seen |= dict.fromkeys(group["params"])
        listed: list[dict[str, object]] = [
            {"params": p, "lr": config.lr * factor, "factor": factor} for factor, p in groups.items() if p
        ]
        self.parameters = list(seen)
        self.optimiser = make_optimiser(listed, config)

    def descend(self) -> None:
        """The whole fit, or what a checkpoint left of it."""
        for listener in self.listeners:
            listener.begin_descent(self)
        while self.done < self.steps:
            set_rate(self.optimiser, self.config, self.done / self.steps)
            terms = {name: part.step() for name, part in self.parts.items()}
            weighted = [self.weights.get(name, 1.0) * t for name, own in terms.items() for t in own.values()]
            update(weighted, self.parameters, self.optimiser, clip=self.config.clip)
            for part in self.parts.values():
                part.end_step()
            self.done += 1
            told = {f"{name}.{term}": t.detach() for name, own in terms.items() for term, t in own.items()}
            for listener in self.listeners:
                listener.after_step(self, self.done, told)
        for part in self.parts.values():
            part.engine.close_descent()
        for listener in self.listeners:
            listener.end_descent(self)

    def evaluate(self, step: int) -> None:
        """Add a candidate to every task."""
        for part in self.parts.values():
            part.engine.evaluate(step)

    def identity(self, content: bool) -> dict[str, str]:
        own = {"tasks": self.task, "weights": json.dumps(self.weights)}
        parts = {name: part.engine.identity(content) for name, part in self.parts.items()}
        return own | {f"{name}.{kind}": value for name, told in parts.items() for kind, value in told.items()}

    def state_dict(self) -> dict[str, Any]:
        states = {name: part.engine.state_dict() for name, part in self.parts.items()}
        own = {"optimiser": self.optimiser.state_dict(), "listeners": listener_states(self.listeners)}
        return {"tasks": states, "step": self.done} | own

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self.parts.items():
            part.engine.load_state_dict(state["tasks"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        load_listener_states(self.listeners, state["listeners"])
        self.done = int(state["step"])


class MultiTask:
    """Trains several (task, algorithm) pairs whose networks share one backbone.

    step: minimise sum_k weight_k * sum(terms of algorithm k on its own batches), one optimiser for all parameters

    Args
        config: the recipe of all tasks; batch_size rows per domain and task; `cuda_graph` has no effect
        seed: decides initial weights; task k draws its batches as a run of seed + 1000 k would
        device: `auto`, `cpu`, `cuda`, `cuda:N`
        weights: task -> factor of its loss, >= 0; 1 unless given
        checkpoint: file for the resumable state of all tasks, or None; `checkpoint_seconds` apart
        checkpoint_key: a checkpoint of another key, or of other tasks, is ignored
        report: called with (step, steps) now and then
        listeners: what else follows the fit of all tasks; terms are named `task.term`

    Example
        fitted = MultiTask(config).fit({"object": (objects, DANN()), "style": (styles, MCC())}, backbone)
        fitted["style"].outputs(styles.test)
    """

    def __init__(
        self,
        config: TrainConfig | None = None,
        *,
        seed: int = 0,
        device: str = "auto",
        weights: Mapping[str, float] | None = None,
        checkpoint: Path | None = None,
        checkpoint_key: str = "",
        checkpoint_seconds: float = 30.0,
        report: Callable[[int, int], None] | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self.config = config or TrainConfig()
        self.seed = seed
        self.device = device
        self.weights = dict(weights or {})
        self.checkpoint = checkpoint
        self.checkpoint_key = checkpoint_key
        self.checkpoint_seconds = checkpoint_seconds
        self.report = report
        self.listeners = list(listeners)

    def fit(self, tasks: Mapping[str, tuple[Task, Algorithm]], backbone: Backbone) -> dict[str, Fitted]:
        """A fitted model per task; the algorithms are trained in place, and one copy of the backbone that they share.

        Raises
            DalibError: no task, a weight of no task, a frozen backbone, an algorithm that does more than give a loss
            Diverged: a loss term stopped being finite
        """
        self._check(tasks, backbone)
        backbone = backbone.copied()
        with hold_memory(), seeded(self.seed, pick_device(self.device)):
            parts = {name: self._open(i, *pair, backbone) for i, (name, pair) in enumerate(tasks.items())}
            run = _Together(parts, self.config, self.seed, self.weights, self._all_listeners())
            with followed(run, run.listeners):
                run.descend()
                for part in parts.values():
                    part.engine.finish()
        return run.fitted

    def _open(self, number: int, task: Task, algorithm: Algorithm, backbone: Backbone) -> _Part:
        trainer = Trainer(self.config, seed=self.seed + 1000 * number, device=self.device)
        engine = trainer.begin(algorithm, task, backbone, [Curve()])
        engine.points = frozenset()
        descent = engine.open_descent(engine.labelled, engine.target)
        return _Part(engine, descent, _Gather(descent), torch.zeros((), device=trainer.device))

    def _all_listeners(self) -> list[Listener]:
        listeners = list(self.listeners)
        if self.report:
            listeners.append(Progress(self.report))
        if self.checkpoint:
            listeners.append(Checkpoint(self.checkpoint, self.checkpoint_key, self.checkpoint_seconds))
        return listeners

    def _check(self, tasks: Mapping[str, tuple[Task, Algorithm]], backbone: Backbone) -> None:
        if not tasks:
            raise DalibError('MultiTask has nothing to fit; give for example {"object": (task, DANN())}')
        for name, weight in self.weights.items():
            if name not in tasks:
                raise unknown("task", name, tasks, "weights of MultiTask")
            if not weight >= 0:
                raise DalibError(f"weight of task '{name}' = {weight} is out of range; give a number >= 0")
        if backbone.frozen:
            raise DalibError(f"backbone '{backbone.name}' is frozen, so tasks share no training; fit them one by one")
        algorithms = [algorithm for _, algorithm in tasks.values()]
        if len(set(map(id, algorithms))) < len(algorithms):
            raise DalibError("two tasks have the same algorithm object; make one for each")
        for name, (_, algorithm) in tasks.items():
            cls = type(algorithm)
            if (
                isinstance(algorithm, FeatureAlgorithm)
                or cls.step is not Algorithm.step
                or cls.fit is not Algorithm.fit
            ):
                raise DalibError(
                    f"task '{name}': {cls.__name__} does more than give a loss, so it cannot share a step; choose "
                    "another, DANN or MCC for example"
                )
