"""Every step's loss terms as a line of JSON in a file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dalib.core.errors import DalibError
from dalib.core.listener import Listener, RunLike


class StepLog(Listener):
    """Writes `{"step": 1, "classification": 0.69, …}` for every step; of several fits the file holds the last.

    Terms stay on the device for `window` steps and are read at once, so the file lags behind by that much; it is
    complete after an evaluation point, in a checkpoint and at the end, a bad one too. What is not finite is `null`. A
    resumed fit goes on behind the lines that its checkpoint knows; where they are gone, the file begins there.

    Args
        path: the file; its folder is made
        window: steps whose terms are read together, >= 1

    Raises
        DalibError: the window is none, or (when a fit begins) the file cannot be written
    """

    def __init__(self, path: str | Path = "step_log.jsonl", window: int = 50) -> None:
        if window < 1:
            raise DalibError(f"window = {window} steps of a step log; give 1 or more")
        self.path = Path(path)
        self.window = window
        self._held: list[tuple[int, dict[str, Tensor]]] = []
        self._size = 0

    def begin(self, run: RunLike) -> None:
        self._held, self._size = [], 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.open("ab").close()
        except OSError as error:
            raise DalibError(f"step log {self.path} cannot be written ({error.strerror}); choose another") from None

    def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
        self._held.append((step, terms))
        if len(self._held) >= self.window or step in run.points:
            self.flush()

    def end_descent(self, run: RunLike) -> None:
        self.flush()

    def end(self, run: RunLike, error: BaseException | None) -> None:
        self.flush()

    def flush(self) -> None:
        """Write what is held; what the file has behind the lines of this fit is cut off."""
        if not self._held:
            return
        text = "".join(json.dumps(row) + "\n" for row in _read(self._held)).encode()
        self._held = []
        with self.path.open("r+b" if self.path.exists() else "xb") as file:
            self._size = file.truncate(min(self._size, self.path.stat().st_size))
            file.seek(self._size)
            self._size += file.write(text)

    def state_dict(self) -> dict[str, Any]:
        self.flush()
        return {"size": self._size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        there = self.path.exists() and self.path.stat().st_size >= state["size"]
        self._size = state["size"] if there else 0


def _read(held: list[tuple[int, dict[str, Tensor]]]) -> list[dict[str, float | None]]:
    """The terms as numbers, at one wait for the device."""
    values = [value for _, terms in held for value in terms.values()]
    numbers = iter(torch.stack([v.to(values[0].device).double() for v in values]).tolist() if values else ())
    return [{"step": step, **{name: _finite(next(numbers)) for name in terms}} for step, terms in held]


def _finite(value: float) -> float | None:
    return float(f"{value:.7g}") if math.isfinite(value) else None
