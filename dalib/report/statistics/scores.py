"""The input convention: seeds by tasks, finite, the same tasks for every method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dalib.core.errors import DalibError

Floats: TypeAlias = NDArray[np.float64]

DECIMALS = 10
"""Scores closer than 1e-10 are tied: means of equal accuracies differ by rounding."""
NOTHING = 10.0**-DECIMALS


def check_scores(scores: ArrayLike, name: str = "scores") -> Floats:
    """`scores` as a float64 array (num_runs, num_tasks). DalibError unless 2-d, non-empty and finite."""
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape:
        raise DalibError(f"{name} has shape {array.shape}; give a non-empty array (num_runs, num_tasks)")
    if not np.isfinite(array).all():
        raise DalibError(f"{name} has values that are not finite; leave incomplete methods out of the comparison")
    return array


def check_pair(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Two methods on the same tasks; the numbers of seeds may differ."""
    return tuple(check_methods({"x": x, "y": y}).values())  # type: ignore[return-value]


def check_methods(methods: Mapping[str, ArrayLike]) -> dict[str, Floats]:
    """Every method's scores, all with the same number of tasks. DalibError for none or for a mismatch."""
    if not methods:
        raise DalibError("no methods to compare; give a dict {name: scores (num_runs, num_tasks)}")
    arrays = {name: check_scores(scores, f"'{name}'") for name, scores in methods.items()}
    tasks = {name: array.shape[1] for name, array in arrays.items()}
    if len(set(tasks.values())) > 1:
        raise DalibError(f"the methods have different numbers of tasks: {tasks}; compare them on the same tasks")
    return arrays
