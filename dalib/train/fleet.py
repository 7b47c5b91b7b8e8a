"""Fleets: many runs of one algorithm as one vectorised model, with the same numbers per run to rounding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError, Diverged
from dalib.core.types import LabelledRows, Rows, Task
from dalib.train.config import MAY_DIFFER, TrainConfig
from dalib.train.descent import Descent, set_training
from dalib.train.device import rng_state, set_rng_state
from dalib.train.engine import update
from dalib.train.fitted import Fitted
from dalib.train.fleet_rows import Bank, feature_rows
from dalib.train.listeners.curve import Curve
from dalib.train.listeners.evaluation import Evaluation
from dalib.train.optimiser import make_optimiser, set_rate
from dalib.train.trainer import Trainer

BLOCK = 50
"""Steps whose row numbers go to the device together."""


@dataclass(frozen=True)
class Member:
    """What `Trainer.fit` takes, and the trainer."""

    trainer: Trainer
    algorithm: Algorithm
    task: Task
    backbone: Backbone


def fit_fleet(members: Sequence[Member]) -> list[Fitted | Exception]:
    """`member.trainer.fit(…)` for every member, stepped together; in place of a fit, what went wrong in it alone.

    Row numbers, initial weights and the random numbers of evaluations are those of single runs. Checkpoints are not
    written. Whether the algorithm can be trained so is for `dalib.train.fleetable.can_fleet` to say.

    Raises
        DalibError: the members do not stack, or none is there
    """
    if not members:
        raise DalibError("a fleet needs at least one run; give fit_fleet some members")
    if any(member.trainer.ranks for member in members):
        raise DalibError("a fleet trains in one process; give its trainers distributed = False")
    device = members[0].trainer.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        runs = [_Sailing(member) for member in members]
        afloat = [run for run in runs if run.error is None]
        if not afloat:
            return [run.result() for run in runs]
        fleet, config = Fleet([run.descent for run in afloat]), members[0].trainer.config
        for step in fleet.run():
            for run in afloat:
                run.tell(fleet, step)
            if step in config.points and step < config.steps:
                fleet.flush()
                for run in afloat:
                    run.evaluate(fleet, step)
        fleet.release()
        for run in afloat:
            run.evaluate(fleet, config.steps)
        return [run.result() for run in runs]


class _Sailing:
    """A member on its way: its engine and descent, its random numbers, its error."""

    def __init__(self, member: Member) -> None:
        self.trainer = trainer = member.trainer
        self.error: Exception | None = None
        torch.manual_seed(trainer.seed)
        try:
            listeners = [*trainer.listeners, Evaluation(trainer.evaluate)]
            self.engine = trainer.begin(member.algorithm, member.task, member.backbone, listeners)
            for listener in trainer.listeners:
                listener.begin(self.engine)
            self.descent = self.engine.open_descent(self.engine.labelled, self.engine.target)
        except Exception as error:
            self.error = error
        self.chance = rng_state(trainer.device)

    def tell(self, fleet: Fleet, step: int) -> None:
        """Its own listeners, of the step that is over."""
        if not self.trainer.listeners or self.error or id(self.descent) in fleet.lost:
            return
        try:
            terms = fleet.terms_of(self.descent)
            for listener in self.trainer.listeners:
                listener.after_step(self.engine, step, terms)
        except Exception as error:
            self.error = error

    def evaluate(self, fleet: Fleet, step: int) -> None:
        """Add a candidate; at the last step, finish."""
        self.error = self.error or fleet.lost.get(id(self.descent))
        if self.error:
            return
        set_rng_state(self.chance, self.trainer.device)
        try:
            if step < self.descent.last:
                self.engine.evaluate(step)
            else:
                self.engine.fitted.extend_curve(fleet.curves[id(self.descent)].thinned())
                self.engine.close_descent()
                self.engine.finish()
        except Exception as error:
            self.error = error
        self.chance = rng_state(self.trainer.device)

    def result(self) -> Fitted | Exception:
        """What became of it, which its own listeners are told."""
        if hasattr(self, "engine"):
            for listener in self.trainer.listeners:
                listener.end(self.engine, self.error)
        return self.error or self.engine.fitted


class Fleet:
    """Descents of one algorithm with equal structure, one step for all; weights of the algorithms are views of a stack.

    Args
        descents: their recipes may differ in `MAY_DIFFER`

    Attributes
        curves: id(descent) -> its loss curve
        lost: id(descent) -> why it is out: a loss that diverged; the others go on

    Raises
        DalibError: descents that differ in structure, or whose input is not one array of features
    """

    def __init__(self, descents: Sequence[Descent]) -> None:
        recipes = list(dict.fromkeys(d.config for d in descents))
        self.descents = sorted(descents, key=lambda d: recipes.index(d.config))
        self.lead = lead = self.descents[0]
        check_alike(self.descents)
        self.lost: dict[int, Diverged] = {}
        self.curves = {id(d): Curve() for d in self.descents}
        self.window = Curve().window
        self.first, self.step, self.last = lead.first, lead.step, lead.last
        self.model = _Model(lead)
        self.weights = {name: self._stack(name) for name, _ in lead.algorithm.named_parameters()}
        self.buffers = {name: self._stack(name) for name, _ in lead.algorithm.named_buffers()}
        self.state = {f"algorithm.{name}": value for name, value in {**self.weights, **self.buffers}.items()}
        self.views: list[tuple[Tensor, nn.Parameter, slice]] = []
        self.optimisers = [(self._optimiser(config), config) for config in recipes]
        self.clip = lead.config.clip
        self.rows = [Bank(self.descents, side) for side in range(1 + lead.algorithm.uses_target)]
        self.told: Terms = {}
        self._held: list[tuple[int, Terms]] = []
        self._names: dict[str, None] = {}

    def run(self) -> Iterator[int]:
        """Do the steps; yields how many are done after each."""
        progress = torch.zeros((), device=self.lead.fitted.device)
        set_training(self.lead.algorithm, self.lead.frozen)
        while self.step < self.last:
            done = self.step - self.first
            if done % BLOCK == 0:
                for bank in self.rows:
                    bank.draw(min(BLOCK, self.last - self.step))
            if not self.lead.algorithm.training:
                set_training(self.lead.algorithm, self.lead.frozen)
            part = done / (self.last - self.first)
            for optimiser, config in self.optimisers:
                set_rate(optimiser, config, part)
            self._descend(self._terms(progress.fill_(part), [v for b in self.rows for v in b.batch(done % BLOCK)]))
            self.step += 1
            yield self.step
            if len(self.lost) == len(self.descents):
                return
        self.flush()

    def flush(self) -> None:
        """Move the window's terms into every run's curve; a run with one that is not finite is lost."""
        if not self._held:
            return
        self._names.update(dict.fromkeys(name for _, terms in self._held for name in terms))
        nothing = torch.zeros(len(self.descents), device=self.lead.fitted.device)
        window = [torch.stack([t.get(name, nothing).float() for name in self._names]) for _, t in self._held]
        values = torch.stack(window).permute(2, 0, 1).tolist()
        for descent, rows in zip(self.descents, values, strict=True):
            if id(descent) in self.lost:
                continue
            try:
                self.curves[id(descent)].take([step for step, _ in self._held], list(self._names), rows)
            except Diverged as error:
                self.lost[id(descent)] = error
        self._held.clear()

    def terms_of(self, descent: Descent) -> Terms:
        """One run's terms of the last step, detached."""
        number = self.descents.index(descent)
        return {name: values[number] for name, values in self.told.items()}

    def release(self) -> None:
        """Give every algorithm weights of its own again."""
        for descent in self.descents:
            for tensor in _tensors(descent.algorithm).values():
                tensor.data = tensor.data.clone()

    def _terms(self, progress: Tensor, rows: list[Tensor]) -> Terms:
        """Every term of all runs, (R,) each."""
        forward = vmap(
            lambda state, p, *batch: functional_call(self.model, state, (p, *batch)),
            in_dims=(0, None, *[0] * len(rows)),
        )
        terms: Terms = forward(self.state, progress, *rows)
        return terms

    def _descend(self, terms: Terms) -> None:
        if len(self._held) >= self.window:
            self.flush()
        self.told = {name: value.detach() for name, value in terms.items()}
        self._held.append((self.step, self.told))
        optimisers = [optimiser for optimiser, _ in self.optimisers]
        update([t.sum() for t in terms.values()], [*self.weights.values()], *optimisers, adjust=self._hand_out)

    def _hand_out(self) -> None:
        """Gradients of the stacks, clipped run by run, to what the optimisers see of them."""
        if self.clip:
            self._clip()
        for stacked, view, members in self.views:
            view.grad = None if stacked.grad is None else stacked.grad[members]

    def _clip(self) -> None:
        grads = [w.grad for w in self.weights.values() if w.grad is not None]
        norm = torch.stack([g.flatten(1).norm(dim=1) for g in grads]).norm(dim=0)
        factor = (self.clip / (norm + 1e-6)).clamp(max=1.0)
        for g in grads:
            g.mul_(factor.reshape(-1, *[1] * (g.ndim - 1)))

    def _stack(self, name: str) -> Tensor:
        """All runs' tensors of that name as one (R, *S); the runs' own become views of it."""
        own = [_tensors(d.algorithm)[name] for d in self.descents]
        stacked = torch.stack([t.detach() for t in own])
        for i, tensor in enumerate(own):
            tensor.data = stacked[i]
        return stacked.requires_grad_(own[0].requires_grad)

    def _optimiser(self, config: TrainConfig) -> torch.optim.Optimizer:
        """The recipe's optimiser on the slice of every stack that belongs to its runs."""
        own = [i for i, d in enumerate(self.descents) if d.config == config]
        members = slice(own[0], own[-1] + 1)
        names = {id(p): name for name, p in self.descents[own[0]].algorithm.named_parameters()}
        groups: list[dict[str, object]] = []
        for group in self.descents[own[0]].optimiser.param_groups:
            stacks = [self.weights[names[id(p)]] for p in group["params"]]
            views = [nn.Parameter(stacked.detach()[members]) for stacked in stacks]
            self.views += [(stacked, view, members) for stacked, view in zip(stacks, views, strict=True)]
            groups.append({"params": views, "lr": group["lr"], "factor": group["factor"]})
        return make_optimiser(groups, config)


class _Model(nn.Module):
    """One run's batch -> its loss terms, as a module whose weights can be swapped."""

    def __init__(self, descent: Descent) -> None:
        super().__init__()
        self.algorithm = descent.algorithm
        self.descent = descent

    def forward(self, progress: Tensor, *rows: Tensor) -> Terms:
        x, index, y, origin = rows[:4]
        views = [Rows(*rows[4:6])] if len(rows) > 4 else []
        return self.algorithm.loss(*self.descent.forward(LabelledRows(x, index, y), views, origin), progress)


def _tensors(algorithm: Algorithm) -> dict[str, Tensor]:
    return {**dict(algorithm.named_parameters()), **dict(algorithm.named_buffers())}


def check_alike(descents: Sequence[Descent]) -> None:
    """DalibError unless the descents stack: same class, hyper-parameters, shapes, and recipe but for `MAY_DIFFER`."""
    lead = descents[0]
    for d in descents:
        if d.config.precision != "fp32" or d.config.compile or d.config.cuda_graph:
            raise DalibError(
                "a fleet trains in fp32 without compilation or CUDA graphs; run these runs one at a time: --fleet off "
                "(fleet='off')"
            )
        if _structure(d) != _structure(lead):
            raise DalibError("runs of a fleet differ in algorithm, recipe or shapes; run them one at a time")


def _structure(d: Descent) -> tuple[Any, ...]:
    shapes = {name: (t.shape, t.dtype, t.requires_grad) for name, t in _tensors(d.algorithm).items()}
    rows = [(d.streams[side].batch_size, type(d.streams[side]), feature_rows(d, side).shape[1]) for side in (0, 1)]
    recipe = d.config.model_dump(exclude=set(MAY_DIFFER))
    return type(d.algorithm), d.algorithm.hparams, recipe, shapes, rows, d.first, d.last, d.fitted.device
