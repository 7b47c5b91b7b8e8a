"""The engine of every fit: what one optimiser step is, and the loop of steps that algorithms descend by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, Minimise, Terms, TrainerLike
from dalib.core.errors import DalibError
from dalib.core.listener import Listener, RunLike
from dalib.core.types import Domain, LabelledRows, Outputs, Rows, Source, Target, Task
from dalib.data.oddities import warn_of_unit
from dalib.train.batch_norm import measure_statistics
from dalib.train.descent import Descent, set_training
from dalib.train.fitted import Fitted
from dalib.train.graph import RECORDERS, StepGraph
from dalib.train.identity import identify_fit
from dalib.train.ranks import Ranks


def update(
    terms: Iterable[Tensor],
    parameters: Sequence[Tensor],
    *optimisers: torch.optim.Optimizer,
    only: Sequence[nn.Module] | None = None,
    clip: float = 0.0,
    adjust: Callable[[], None] | None = None,
    ranks: Ranks | None = None,
) -> None:
    """One step on the sum of the terms: the package's one backward pass, and its one call of an optimiser's `step`.

    Args
        terms: scalars of any float type, each of which keeps its own
        parameters: those whose gradients are made anew; the optimisers' own, or what theirs are views of
        only: modules whose parameters alone keep a gradient, and so move; None: all
        clip: largest norm of all gradients together; 0 = any
        adjust: called between the backward pass and the step, for what else is to be done to gradients
        ranks: the processes that share the step; all have the same terms
    """
    for p in parameters:
        p.grad = None
    loss = reduce(torch.add, terms)
    with ranks.descending() if ranks else nullcontext():
        (loss / ranks.size if ranks else loss).backward()
    if only is not None:
        kept = {p for module in only for p in module.parameters()}
        for p in parameters:
            p.grad = p.grad if p in kept else None
    if ranks is not None:
        ranks.sum_gradients(parameters)
    if clip:
        nn.utils.clip_grad_norm_(parameters, clip)
    if adjust is not None:
        adjust()
    for optimiser in optimisers:
        optimiser.step()


@contextmanager
def followed(run: RunLike, listeners: Sequence[Listener]) -> Iterator[None]:
    """Inside is the whole fit: listeners are told of its begin, and of its end, a good one or an error."""
    for listener in listeners:
        listener.begin(run)
    try:
        yield
    except BaseException as error:
        for listener in listeners:
            listener.end(run, error)
        raise
    for listener in listeners:
        listener.end(run, None)


def listener_states(listeners: Sequence[Listener]) -> dict[str, Any]:
    """What each of them keeps, by its class; several of one class are numbered."""
    return {name: listener.state_dict() for name, listener in _named(listeners).items()}


def load_listener_states(listeners: Sequence[Listener], states: dict[str, Any]) -> None:
    """Give every listener what `listener_states` had of it; one that is new begins here."""
    for name, listener in _named(listeners).items():
        if name in states:
            listener.load_state_dict(states[name])


def _named(listeners: Sequence[Listener]) -> dict[str, Listener]:
    named: dict[str, Listener] = {}
    for listener in listeners:
        kind = type(listener).__name__
        count = sum(type(other).__name__ == kind for other in named.values())
        named[f"{kind}{count + 1}" if count else kind] = listener
    return named


class DescentStep(Minimise):
    """The `minimise` that an algorithm's `step` is given; it keeps the terms of the step, of one name the last."""

    def __init__(self, descent: Descent) -> None:
        self.descent = descent
        self.optimiser = descent.optimiser
        self.clip = descent.config.clip
        self.ranks = descent.ranks
        self.terms: Terms = {}

    def __call__(self, terms: Terms, only: Sequence[nn.Module] | None = None) -> None:
        self.terms.update({name: value.detach() for name, value in terms.items()})
        update(terms.values(), self.descent.parameters, self.optimiser, only=only, clip=self.clip, ranks=self.ranks)

    def forward(self, source: Source, target: Target) -> tuple[Source, Target]:
        return self.descent.forward(source, [target, *target.others] if len(target) else [])

    def taken(self) -> Terms:
        """The terms of the step that is over; the next one begins without any."""
        terms, self.terms = self.terms, {}
        return terms


class Engine(TrainerLike, RunLike):
    """One fit under way: the trainer that an algorithm's `fit` is given, and the run that listeners follow.

    Args
        fitted: the model, its network attached
        seed: decides batches and augmentation
        listeners: told in this order
        ranks: this process among several that share the fit; None: alone

    Attributes
        labelled, target: the task's rows as the network takes them
        done: how many of the run's steps are over, or will be at the end of the descent under way
    """

    def __init__(
        self,
        fitted: Fitted,
        task: Task,
        *,
        seed: int,
        listeners: Sequence[Listener] = (),
        ranks: Ranks | None = None,
    ) -> None:
        config = fitted.config
        self.fitted = fitted
        self.task = task.name
        self.labelled, self.target = fitted.represent(task.labelled), fitted.represent(task.target.unlabelled())
        self.seed = seed
        self.ranks = ranks
        self.recipe = config.model_dump()
        self.steps = config.steps
        self.points = config.points
        self.listeners = list(listeners)
        self.phase = self.done = self.last = 0
        self.descent: Descent | None = None

    def descend(self, algorithm: Algorithm, source: Domain, target: Domain, until: float = 1.0) -> None:
        """Steps on `algorithm.step`, from where the last descent stopped to `until` of the recipe's steps.

        The learning rate's schedule and `progress` run from 0 to 1 in each descent. A resumed fit passes over the
        descents that were complete. A source without rows is withheld: the algorithm sees an empty batch of it.
        What trains is the whole algorithm, also where the one given is a part of a sum.
        """
        algorithm, descent = self.fitted.algorithm, self.open_descent(source, target, until)
        minimise, progress = DescentStep(descent), torch.zeros((), device=self.fitted.device)
        graph = self._open_graph(algorithm, minimise, progress)
        set_training(algorithm, descent.frozen)
        try:
            while descent.step < descent.last:
                if descent.prepare(self) and graph:
                    graph.look_again()
                rows, views = descent.draw()
                progress.fill_(descent.part)
                if graph:
                    terms = graph.step(rows, views)
                else:
                    algorithm.step(*descent.forward(rows, views), progress, minimise)
                    algorithm.end_step()
                    terms = minimise.taken()
                descent.step += 1
                for listener in self.listeners:
                    listener.after_step(self, descent.step, terms)
        finally:
            graph = None  # its memory is free at once, not when a traceback is
        self.close_descent()

    def finish(self) -> None:
        """The last candidate, and evaluation mode."""
        algorithm = self.fitted.algorithm.to(self.fitted.device)
        self.evaluate(self.done)
        algorithm.eval()

    def open_descent(self, source: Domain, target: Domain, until: float = 1.0) -> Descent:
        """The descent from where the last one stopped to `until` of the recipe's steps; listeners may move it on."""
        if self.fitted.algorithm.reads_recipe() is not None:
            raise DalibError(
                f"{self.fitted.algorithm.name_for_people()} is solved, so most of the recipe is not in the key of its "
                "runs, and it cannot descend; derive it from Algorithm, not from FeatureAlgorithm"
            )
        last = round(until * self.steps)
        if last < self.done or not 0 < until <= 1:
            raise DalibError(f"descend(until={until}) after {self.done} of {self.steps} steps; give more, up to 1")
        first, self.done, self.last = self.done, last, last
        if not first:
            warn_of_unit((source if len(source) else target).x)
        self.phase += 1
        self.descent = Descent(self.fitted, source, target, seed=self.seed, first=first, last=last, ranks=self.ranks)
        for listener in self.listeners:
            listener.begin_descent(self)
        if self.ranks is not None:
            self.ranks.agree(self.descent.step, "the step that they go on from")
        return self.descent

    def close_descent(self) -> None:
        """The end of what `open_descent` began."""
        for listener in self.listeners:
            listener.end_descent(self)
        self.descent = None

    def evaluate(self, step: int) -> None:
        """Add a candidate, the model after `step` steps, and tell every listener."""
        fitted, target = self.fitted, self.descent.target if self.descent else self.target
        fitted.algorithm.before_evaluation(self, target)
        candidate: dict[str, Any] = {"step": step}
        for listener in self.listeners:
            candidate |= listener.evaluate(self, step)
        fitted.candidates.append(candidate)
        for listener in self.listeners:
            listener.after_evaluation(self, step, candidate)

    def embed(self, algorithm: Algorithm, domain: Domain) -> Tensor:
        """Backbone features (n, d) float32 on the CPU; evaluation mode, no augmentation."""
        return self.fitted.map_rows(domain, algorithm.network.embed).float().cpu()

    def outputs(self, algorithm: Algorithm, domain: Domain) -> Outputs:
        """z (n, d) and logits (n, K) of the algorithm's prediction, on the CPU; evaluation mode, no augmentation."""
        return self.fitted.outputs(domain)

    def reestimate(self, algorithm: Algorithm, domain: Domain) -> int:
        """Running statistics of every batch norm of the network from all rows of `domain`, its function changing."""
        store = self.fitted.store(domain)
        return measure_statistics(algorithm.network, self.fitted.batches(store))

    def identity(self, content: bool) -> dict[str, str]:
        """What this fit is, for checkpoints."""
        return identify_fit(self, content)

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides the steps still to come, those of later descents included, and what was gathered."""
        assert self.descent is not None
        gathered = {"candidates": self.fitted.candidates, "curve": self.fitted.curve}
        own = {"phase": self.phase, "listeners": listener_states(self.listeners)}
        return self.descent.state_dict() | gathered | own

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was called; nothing is left of this descent when that was in a later one."""
        assert self.descent is not None
        if state["phase"] > self.phase:
            self.descent.step = self.descent.last
        if state["phase"] != self.phase:
            return
        self.descent.load_state_dict(state)
        self.fitted.candidates[:] = state["candidates"]
        self.fitted.curve = state["curve"]
        load_listener_states(self.listeners, state["listeners"])

    def _open_graph(self, algorithm: Algorithm, minimise: DescentStep, progress: Tensor) -> StepGraph | None:
        """The descent's steps as launches of one record; None where the recipe or the device has none."""
        recorder = RECORDERS.get(self.fitted.device.type) if self.fitted.config.cuda_graph else None
        if recorder is None:
            return None

        def take(rows: LabelledRows, views: Sequence[Rows]) -> Terms:
            minimise.terms = {}  # a recording that failed may have left some
            algorithm.step(*minimise.descent.forward(rows, views), progress, minimise)
            algorithm.end_step()
            return minimise.taken()

        return StepGraph(take, algorithm, minimise.optimiser, recorder(self.fitted.device))
