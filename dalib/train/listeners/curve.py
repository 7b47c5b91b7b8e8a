"""Loss curves and early detection of divergence, at one host synchronisation per window."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from dalib.core.errors import Diverged
from dalib.core.listener import Listener, RunLike


class Curve(Listener):
    """Collects a descent's terms on the device, looks at them once per `window` steps, and extends `fitted.curve`.

    It comes first of all listeners, so that no other one evaluates a model that has diverged.

    Args
        window: steps between looks; a diverged run stops at most that many steps late, and the first bad step is named
        points: largest length of the stored curve; finer points are averaged
    """

    def __init__(self, window: int = 20, points: int = 100) -> None:
        self.window = window
        self.points = points
        self._clear()

    def _clear(self) -> None:
        self.curve: dict[str, list[float]] = {"step": []}
        self._held: list[tuple[int, dict[str, Tensor]]] = []

    def begin_descent(self, run: RunLike) -> None:
        self._clear()

    def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
        self.add(step - 1, terms)
        if step in run.points:
            self.flush()

    def end_descent(self, run: RunLike) -> None:
        self.flush()
        run.fitted.extend_curve(self.thinned())

    def add(self, step: int, terms: dict[str, Tensor]) -> None:
        """The terms of the step of that number, detached; a step without any leaves no trace."""
        if not terms:
            return
        if len(self._held) >= self.window:
            self.flush()
        self._held.append((step, terms))

    def flush(self) -> None:
        """Move the held window into the curve; where a term is absent it counts as 0, what it adds to the loss.

        Raises
            Diverged: a term is nan or infinite; names the first step and term
        """
        if not self._held:
            return
        known = [name for name in self.curve if name != "step"]
        names = list(dict.fromkeys([*known, *(name for _, terms in self._held for name in terms)]))
        device = next(iter(self._held[-1][1].values())).device
        nothing = torch.zeros((), device=device)
        rows = torch.stack(
            [torch.stack([t.get(n, nothing).to(device).float() for n in names]) for _, t in self._held]
        ).tolist()
        self.take([step for step, _ in self._held], names, rows)
        self._held.clear()

    def take(self, steps: list[int], names: list[str], rows: list[list[float]]) -> None:
        """One point of the curve: rows[i][j] is term names[j] at steps[i]; every known term is named.

        Raises
            Diverged: as `flush`
        """
        for step, row in zip(steps, rows, strict=True):
            for name, value in zip(names, row, strict=True):
                if not math.isfinite(value):
                    raise Diverged(step, name, value)
        self.curve["step"].append(float(steps[-1] + 1))
        for j, name in enumerate(names):
            series = self.curve.setdefault(name, [0.0] * (len(self.curve["step"]) - 1))
            series.append(sum(row[j] for row in rows) / len(rows))

    def thinned(self) -> dict[str, list[float]]:
        """The curve with at most `points` entries (means of neighbours), six significant digits."""
        n = len(self.curve["step"])
        width = max(1, math.ceil(n / self.points))
        out = {}
        for name, series in self.curve.items():
            chunks = [series[i : i + width] for i in range(0, n, width)]
            out[name] = [float(f"{c[-1] if name == 'step' else sum(c) / len(c):.6g}") for c in chunks]
        return out

    def state_dict(self) -> dict[str, Any]:
        held = [(step, {k: v.cpu() for k, v in terms.items()}) for step, terms in self._held]
        return {"curve": {k: list(v) for k, v in self.curve.items()}, "held": held}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.curve = {k: list(v) for k, v in state["curve"].items()}
        self._held = [(step, dict(terms)) for step, terms in state["held"]]
