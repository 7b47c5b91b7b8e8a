"""What every tracker does: loss terms, metrics and settings of a fit, told to a service that draws them."""

from __future__ import annotations

import importlib.util
import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from dalib.core.errors import DalibError, unknown
from dalib.core.listener import Listener, RunLike
from dalib.core.registry import ALGORITHMS, LISTENERS


class Tracker(Listener):
    """Tells a service of a fit: means of the loss terms every `window` steps, and every candidate's metrics and scores.

    A service that fails is left out for the rest of the fit, with a warning: the training does not depend on it.
    Subclasses have `open`, `log` and `close`.

    Args
        place: where the service keeps its runs: a folder, for some an address; empty = its own
        name: of the run; empty = the algorithm, the task and the seed
        group: what the run belongs to: a suite
        window: steps whose terms are read from the device together, >= 1

    Class variables
        package: what must be installed
        home: the place unless one is given
    """

    package: ClassVar[str] = ""
    home: ClassVar[str] = ""

    def __init__(self, place: str | Path = "", name: str = "", group: str = "dalib", window: int = 50) -> None:
        if window < 1:
            raise DalibError(f"window = {window} steps of a tracker; give 1 or more")
        self.place = str(place) or self.home
        self.name = name
        self.group = group
        self.window = window
        self._begin()

    def _begin(self) -> None:
        self._held: list[tuple[int, dict[str, Tensor]]] = []
        self._settings: dict[str, Any] = {}
        self._called, self._known, self._is_open, self._failed = "", "", False, False

    @classmethod
    def check(cls) -> None:
        """Raises DalibError where its package is not installed."""
        if cls.package and importlib.util.find_spec(cls.package) is None:
            name = cls.package
            raise DalibError(f"tracker {name} needs the package {name}: pip install 'dalib-toolkit[{name}]'")

    def open(self, name: str, settings: Mapping[str, Any], known: str) -> str:
        """Begin a run of the service and return by what it is known there.

        known: what an earlier `open` of this run returned, which was stopped and goes on; empty for a new one
        """
        raise NotImplementedError

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Tell the service of numbers after so many steps."""
        raise NotImplementedError

    def close(self, failed: bool) -> None:
        """End the service's run."""
        raise NotImplementedError

    def begin(self, run: RunLike) -> None:
        self.check()
        self._begin()
        algorithm = run.fitted.algorithm
        told = ALGORITHMS.name_of(type(algorithm)) or type(algorithm).__name__
        self._settings = {"algorithm": told, "task": run.task, "seed": run.seed}
        self._settings |= {f"algorithm.{key}": value for key, value in algorithm.hparams.items()}
        self._settings |= {f"train.{key}": value for key, value in run.recipe.items()}
        self._called = self.name or f"{told} {run.task} seed {run.seed}"

    def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
        self._held.append((step, terms))
        if len(self._held) >= self.window or step in run.points:
            self._flush()

    def after_evaluation(self, run: RunLike, step: int, candidate: dict[str, Any]) -> None:
        self._flush()
        self._tell(step, find_numbers(candidate))

    def end_descent(self, run: RunLike) -> None:
        self._flush()

    def end(self, run: RunLike, error: BaseException | None) -> None:
        self._flush()
        if self._is_open and not self._failed:
            self._try(self.close, error is not None)

    def state_dict(self) -> dict[str, Any]:
        self._flush()
        return {"known": self._known}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._known = state["known"]

    def _flush(self) -> None:
        if not self._held:
            return
        held, self._held = self._held, []
        names = list(dict.fromkeys(name for _, terms in held for name in terms))
        if names:
            last = next(iter(held[-1][1].values()), None)
            device = last.device if last is not None else torch.device("cpu")
            sums = [sum(terms[n].detach().to(device).double() for _, terms in held if n in terms) for n in names]
            means = (torch.stack([torch.as_tensor(s) for s in sums]) / len(held)).tolist()
            self._tell(held[-1][0], {f"loss/{n}": v for n, v in zip(names, means, strict=True) if math.isfinite(v)})

    def _tell(self, step: int, values: dict[str, float]) -> None:
        if values and not self._failed:
            if not self._is_open:
                self._is_open = True
                self._try(self._start)
            self._try(self.log, step, values)

    def _start(self) -> None:
        self._known = self.open(self._called, self._settings, self._known)

    def _try(self, function: Any, *args: Any) -> None:
        """Call it; after a failure nothing more is told."""
        if self._failed:
            return
        try:
            function(*args)
        except Exception as error:
            self._failed = True
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            warnings.warn(
                f"tracker {type(self).__name__} at {self.place} fails and is left out: {reason}",
                stacklevel=2,
            )


def find_numbers(candidate: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a candidate, by path: `metrics/target_accuracy`; arrays and the step are left out."""
    found: dict[str, float] = {}
    for name, value in candidate.items():
        if isinstance(value, Mapping):
            found |= {f"{name}/{key}": number for key, number in find_numbers(value).items()}
        elif (
            isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and name != "step"
        ):
            found[name] = float(value)
    return found


def plain_name(text: str) -> str:
    """Fit for a folder and a service: letters, digits and `+-_.`; no other character, at most 120."""
    return re.sub(r"[^A-Za-z0-9+_.]+", "-", text).strip("-.")[:120] or "run"


def free_folder(folder: Path) -> Path:
    """The folder, made, or with `-2`, `-3` … where there is one of that name; several processes may ask at once."""
    number = 1
    while True:
        path = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return path


def list_trackers() -> list[str]:
    """Names of the listeners that are trackers."""
    return [name for name in LISTENERS.names() if issubclass(LISTENERS.get(name), Tracker)]


def make_tracker(text: str, name: str = "", group: str = "dalib") -> Tracker:
    """A tracker by its name, `tensorboard`, or with its place, `tensorboard=DIR`.

    Raises
        DalibError: no such tracker, or its package is not installed
    """
    kind, _, place = text.partition("=")
    known = list_trackers()
    if kind not in known:
        raise unknown("tracker", kind, known, "--track NAME[=DIR] (track=…)")
    cls: type[Tracker] = LISTENERS.get(kind)
    cls.check()
    return cls(place, name, group)
