"""The contract of listeners: what follows a fit (curves, checkpoints, trackers) and changes none of its numbers."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor


class RunLike(Protocol):
    """What a listener may read of the fit that it follows.

    task: its name; of several tasks at once all names, joined by +
    seed, recipe: what the fit was started with, the recipe by name of its settings
    steps: of the whole fit
    last: the step after which the descent under way ends
    points: after how many steps candidates are evaluated
    fitted: what `fit` will return; its `algorithm`, `candidates` and `curve` are those so far
    """

    task: str
    seed: int
    recipe: dict[str, Any]
    steps: int
    last: int
    points: frozenset[int]
    fitted: Any

    def evaluate(self, step: int) -> None:
        """Add a candidate, the model after `step` steps, and tell every listener."""

    def identity(self, content: bool) -> dict[str, str]:
        """Task, seed, algorithm, backbone and recipe in words; with `content` the values of rows and weights too."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides the steps still to come, and what was gathered so far, listeners' states included."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was called."""


class Listener:
    """Follows a fit; every method does nothing unless overridden. `Trainer(listeners=[…])` adds one's own.

    A listener changes no number of the run: it draws no random numbers and writes to no tensor. One that reads values
    of `terms` makes the host wait for a GPU; gather them, and read many at once.

    Example
        class Printer(Listener):
            def after_evaluation(self, run, step, candidate):
                print(step, candidate)
    """

    def begin(self, run: RunLike) -> None:
        """A fit begins; its network is attached. One object may follow several fits, one after another."""

    def begin_descent(self, run: RunLike) -> None:
        """Steps begin, up to `run.last`; a fit may have several such descents, or none."""

    def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
        """`step` of `run.steps` steps are done; `terms` are the last one's by name, detached scalars on the device."""

    def evaluate(self, run: RunLike, step: int) -> dict[str, Any]:
        """What this listener has to say of the model, in evaluation mode if it asks; all answers are the candidate."""
        return {}

    def after_evaluation(self, run: RunLike, step: int, candidate: dict[str, Any]) -> None:
        """`candidate` is what all listeners said of the model after `step` steps, and the step itself."""

    def end_descent(self, run: RunLike) -> None:
        """Its steps are done; not called where an error ended them."""

    def end(self, run: RunLike, error: BaseException | None) -> None:
        """The fit is over: well, or by this error."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: tensors, numbers, strings, lists and dicts."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was called; comes after `begin_descent`."""
