"""Normalisation of feature rows, as the shallow methods' papers did it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence, Sized
from typing import TypeAlias

import numpy as np

from dalib.core.errors import DalibError, unknown
from dalib.data.narrow import warn_of_lost

Moments: TypeAlias = "tuple[tuple[np.ndarray, np.ndarray], ...]"
"""(mean (d,), deviation (d,)) for every `zscore` among the steps; a constant column's deviation is infinite."""
PLAIN = (np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64))
"""Numbers that are the same in float32 whether or not they were float64 before."""


def divide_by_row_sum(x: np.ndarray) -> np.ndarray:
    """Rows that sum to 1 (counts -> frequencies); rows that sum to 0 stay as they are."""
    total = x.sum(1, keepdims=True)
    return x / np.where(total == 0, 1.0, total)


def divide_by_l2_norm(x: np.ndarray) -> np.ndarray:
    """Rows of Euclidean length 1; zero rows stay zero."""
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norm == 0, 1.0, norm)


def zscore_columns(x: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and standard deviation 1 (ddof 1) over the rows given; constant columns become 0."""
    return (x - x.mean(0)) / column_moments(x)[1] if len(x) > 1 else np.zeros_like(x)


def warn_of_one_row(x: Sized, scaling: str, whose: str) -> None:
    """A word where rows are to be scaled by their own moments, and there is one; scaling: by what, whose: rows."""
    if len(x) == 1:
        warnings.warn(
            f"{scaling}: {whose} has one row, of which no deviation is known, so that it becomes 0 in every column; "
            "give more rows, or leave the scaling out",
            UserWarning,
            stacklevel=3,
        )


def column_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (ddof 1) of each column; a constant one's is infinite, so that it becomes 0."""
    if len(x) < 2:
        return x.mean(0), np.full(x.shape[1:], np.inf)
    return x.mean(0), np.where((x == x[:1]).all(0), np.inf, x.std(0, ddof=1))


def find_moments(x: np.ndarray, steps: Sequence[str]) -> Moments:
    """The moments with which `normalise_features(x, steps)` takes the rows x (n, d) to their z-scores."""
    values, kept = x.astype(np.float64), []
    for step in steps:
        if step == "zscore":
            kept.append(column_moments(values))
        values = STEPS[step](values)
    return tuple(kept)


STEPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "row_sum": divide_by_row_sum,
    "l2": divide_by_l2_norm,
    "zscore": zscore_columns,
}


def prepare_rows(x: np.ndarray, steps: Sequence[str]) -> np.ndarray:
    """Rows of any kind as a `Domain` holds them: features normalised, whole numbers as they are, else float32.

    Raises
        DalibError: steps for rows that are not features (n, d)
    """
    if not steps:
        warn_of_lost(x, "normalise = zscore")
    if x.ndim == 2 and (steps or x.dtype.kind in "fb"):
        return normalise_features(x, steps)
    if steps:
        kind = "several modalities" if x.dtype.names else f"rows {x.shape[1:]}"
        raise DalibError(f"normalise = {list(steps)} is for features (n, d), not for {kind}; leave it out")
    return _narrow(x) if x.dtype.kind == "f" else x


def normalise_features(x: np.ndarray, steps: Sequence[str], moments: Moments = ()) -> np.ndarray:
    """x (n, d) of one domain after the steps in order, computed in float64, returned as float32.

    moments: for each `zscore`, in place of those of x itself: rows are then independent of each other
    Raises
        DalibError: a step is none of `row_sum`, `l2`, `zscore`
    """
    values, known = x if not steps and x.dtype in PLAIN else x.astype(np.float64), list(moments)
    for step in steps:
        if step not in STEPS:
            raise unknown("normalisation", step, STEPS)
        if step == "zscore" and known:
            mean, deviation = known.pop(0)
            values = (values - mean) / deviation
        else:
            values = STEPS[step](values)
    return _narrow(values)


def _narrow(x: np.ndarray) -> np.ndarray:
    """float32.

    Raises
        DalibError: a finite number is beyond it
    """
    with np.errstate(over="ignore"):
        narrow: np.ndarray = x.astype(np.float32)
    if np.isinf(narrow).any() and not np.isinf(x).any():
        raise DalibError(f"rows hold {np.abs(x).max():.3g}, beyond what float32 can; scale them (normalise = zscore)")
    return narrow
