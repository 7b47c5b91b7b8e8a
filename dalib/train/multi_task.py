"""Several tasks at once: one backbone, and for each task its own data, algorithm, bottleneck and head."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, FeatureAlgorithm, Terms
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError, unknown
from dalib.core.types import Domain, Task
from dalib.train.checkpoint import load_checkpoint, save_checkpoint
from dalib.train.config import TrainConfig
from dalib.train.descent import Descent
from dalib.train.fitted import Fitted
from dalib.train.optimiser import make_optimiser, set_rate
from dalib.train.trainer import Trainer


class _Part(Descent):
    """A task's descent that hands its terms over instead of minimising them."""

    terms: Terms

    def __call__(self, terms: Terms, only: Sequence[nn.Module] | None = None) -> None:
        self.monitor.add(self.step, terms)
        self.terms = terms

    def _open_graph(self, *_: object) -> None:
        """None: the step ends outside."""


@dataclass
class _Member:
    trainer: Trainer
    descent: _Part
    target: Domain


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
    ) -> None:
        self.config = config or TrainConfig()
        self.seed = seed
        self.device = device
        self.weights = dict(weights or {})
        self.checkpoint = checkpoint
        self.checkpoint_key = checkpoint_key
        self.checkpoint_seconds = checkpoint_seconds
        self.report = report

    def fit(self, tasks: Mapping[str, tuple[Task, Algorithm]], backbone: Backbone) -> dict[str, Fitted]:
        """A fitted model per task; the algorithms are trained in place, and one copy of the backbone that they share.

        Raises
            DalibError: no task, a weight of no task, a frozen backbone, an algorithm that does more than give a loss
            Diverged: a loss term stopped being finite
        """
        self._check(tasks, backbone)
        lead, backbone = Trainer(self.config, seed=self.seed, device=self.device), backbone.copied()
        with lead._seeded():
            members = {name: self._open(i, *pair, backbone) for i, (name, pair) in enumerate(tasks.items())}
            self._descend(members)
            fitted = {name: member.trainer.end(member.target) for name, member in members.items()}
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)
        return fitted

    def _open(self, number: int, task: Task, algorithm: Algorithm, backbone: Backbone) -> _Member:
        trainer = Trainer(self.config, seed=self.seed + 1000 * number, device=self.device)
        source, target = trainer.begin(algorithm, task, backbone)
        steps = self.config.steps
        trainer._done = steps
        part = _Part(trainer._fitted, source, target, seed=trainer.seed, first=0, last=steps)
        return _Member(trainer, part, target)

    def _descend(self, members: dict[str, _Member]) -> None:
        groups: dict[float, list[Tensor]] = {}
        seen: dict[Tensor, None] = {}
        for member in members.values():
            for group in member.descent.optimiser.param_groups:
                groups.setdefault(group["factor"], []).extend(p for p in group["params"] if p not in seen)
                seen |= dict.fromkeys(group["params"])
        listed: list[dict[str, object]] = [
            {"params": p, "lr": self.config.lr * factor, "factor": factor} for factor, p in groups.items() if p
        ]
        optimiser = make_optimiser(listed, self.config)
        runs = [member.descent.run(member.trainer) for member in members.values()]
        first, saved = self._resume(members, optimiser), time.monotonic()
        for step in range(first, self.config.steps):
            set_rate(optimiser, self.config, step / self.config.steps)
            for run in runs:
                next(run)
            losses = [
                self.weights.get(name, 1.0) * torch.stack([t.float() for t in member.descent.terms.values()]).sum()
                for name, member in members.items()
            ]
            optimiser.zero_grad(set_to_none=True)
            torch.stack(losses).sum().backward()
            if self.config.clip:
                nn.utils.clip_grad_norm_(list(seen), self.config.clip)
            optimiser.step()
            done = step + 1
            if self.report and done % 10 == 0:
                self.report(done, self.config.steps)
            if self.checkpoint and time.monotonic() - saved > self.checkpoint_seconds and done < self.config.steps:
                states = {name: member.descent.state_dict() for name, member in members.items()}
                together = {"optimiser": optimiser.state_dict(), "step": done, "key": self._key(members)}
                save_checkpoint(self.checkpoint, {"tasks": states, **together})
                saved = time.monotonic()
        for run, member in zip(runs, members.values(), strict=True):
            next(run, None)
            member.trainer._fitted.extend_curve(member.descent.monitor.thinned())

    def _key(self, members: Mapping[str, _Member]) -> str:
        return f"{self.checkpoint_key}|{'|'.join(members)}"

    def _resume(self, members: Mapping[str, _Member], optimiser: torch.optim.Optimizer) -> int:
        """The step to go on from: that of the checkpoint where there is one, else 0."""
        state = load_checkpoint(self.checkpoint, self._key(members)) if self.checkpoint else None
        if state is None:
            return 0
        for name, member in members.items():
            member.descent.load_state_dict(state["tasks"][name])
        optimiser.load_state_dict(state["optimiser"])
        return int(state["step"])

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
