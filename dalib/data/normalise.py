"""Normalisation of feature rows, as the shallow methods' papers did it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dalib.core.errors import DalibError, unknown


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
    if len(x) < 2:
        return np.zeros_like(x)
    std = x.std(0, ddof=1)
    constant = (x == x[:1]).all(0)
    return np.where(constant, 0.0, (x - x.mean(0)) / np.where(constant, 1.0, std))


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
    if x.ndim == 2 and (steps or x.dtype.kind in "fb"):
        return normalise_features(x, steps)
    if steps:
        kind = "several modalities" if x.dtype.names else f"rows {x.shape[1:]}"
        raise DalibError(f"normalise = {list(steps)} is for features (n, d), not for {kind}; leave it out")
    return x.astype(np.float32) if x.dtype.kind == "f" else x


def normalise_features(x: np.ndarray, steps: Sequence[str]) -> np.ndarray:
    """x (n, d) of one domain after the steps in order, computed in float64, returned as float32.

    Raises
        DalibError: a step is none of `row_sum`, `l2`, `zscore`
    """
    values = x.astype(np.float64)
    for step in steps:
        if step not in STEPS:
            raise unknown("normalisation", step, STEPS)
        values = STEPS[step](values)
    return values.astype(np.float32)
