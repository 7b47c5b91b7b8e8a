"""What is taken for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dalib.core.errors import DalibError
from dalib.core.text import show_control
from dalib.core.types import Task, name_unknown
from dalib.report.axes import open_axes
from dalib.report.figures import names_as_they_are
from dalib.scoring.metrics import decide
from dalib.train.fitted import Fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NUMBERS, MOST_NAMES = 15, 70


@names_as_they_are()
def confusion(fitted: Fitted, task: Task, axes: Axes | None = None, *, reject: float = 1.0) -> Axes:
    """Share of each true class (a line of the picture) by what it is called, on the task's test rows.

    Args
        reject: as `protocol.reject`: rows of entropy above reject * log K are called `unknown`

    Raises
        DalibError: labels that are no classes, or no labelled test rows
    """
    if task.objective != "classification":
        raise DalibError(f"labels of {task.objective} are no classes, so nothing is taken for another")
    if not len(task.test) or task.test.y is None:
        raise DalibError(f"task {task.name} has no labelled test rows to compare answers with")
    counts, names = count_answers(fitted, task, reject)
    sums = counts.sum(1, keepdims=True)
    share = np.where(sums > 0, counts / np.maximum(sums, 1), np.nan)
    axes = open_axes(axes, (min(2 + 0.34 * len(names), 9), min(1.6 + 0.34 * len(names), 8.5)))
    axes.imshow(share, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    if len(names) <= MOST_NUMBERS:
        for i, j in zip(*np.nonzero(counts), strict=True):
            ink = "white" if share[i, j] < 0.6 else "black"
            axes.text(j, i, f"{100 * share[i, j]:.0f}", ha="center", va="center", fontsize=7, color=ink)
    shown = [show_control(name) for name in names]
    size = 8 if len(names) <= MOST_NUMBERS else 5.5
    ticks = range(len(names)) if len(names) <= MOST_NAMES else []
    axes.set_xticks(ticks, shown if ticks else [], rotation=90, fontsize=size)
    axes.set_yticks(
        ticks, [f"{name} ({int(n)})" for name, n in zip(shown, sums[:, 0], strict=True)] if ticks else [], fontsize=size
    )
    axes.set_xlabel("called", fontsize=8)
    axes.set_ylabel("true class (rows)", fontsize=8)
    right = np.trace(counts) / counts.sum()
    axes.set_title(f"{type(fitted.algorithm).__name__}, {task.name}: {100 * right:.1f} % right", fontsize=9)
    axes.tick_params(length=0)
    return axes


def count_answers(fitted: Fitted, task: Task, reject: float = 1.0) -> tuple[np.ndarray, tuple[str, ...]]:
    """(counts (K, K) int64, true by called; the classes' names, `unknown` last where there is one)."""
    known = len(task.classes)
    called = decide(fitted.outputs(task.test).prediction.numpy(), known, reject)
    true = np.minimum(task.test.labels, known)
    number = max(known, int(called.max()) + 1, int(true.max()) + 1)
    counts = np.zeros((number, number), dtype=np.int64)
    np.add.at(counts, (true, called), 1)
    names = tuple(task.classes)
    return counts, names if number == known else (*names, name_unknown(names))
