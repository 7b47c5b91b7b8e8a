"""What float32 keeps of columns: numbers far from 0 that vary little, such as Unix times, lose the digits that vary."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from dalib.core.errors import DalibError
from dalib.data.labels import EXACT

LOST = 1e-3
"""Part of a column's deviation that rounding may be; beyond it a word is said."""
HALF = 2.0**-24
"""Largest rounding error of float32, as a part of the number."""
TINY = 1e-35
"""Deviations below are near the least that float32 knows."""


def find_lost(x: np.ndarray) -> list[tuple[int, float, float, float]]:
    """(column, mean, deviation, error) of every column of which float32 keeps too little; root mean squares.

    x: (n, d), or (n, C, …) with a column per C; only wide numbers can lose any
    """
    wide = x.dtype.itemsize > {"i": 2, "u": 2, "f": 4}.get(x.dtype.kind, x.dtype.itemsize)
    if not wide or x.ndim < 2 or len(x) < 2 or not x.size:
        return []
    rest = (0, *range(2, x.ndim))
    with np.errstate(over="ignore", invalid="ignore"):
        return _find(x, rest)


def _find(x: np.ndarray, rest: tuple[int, ...]) -> list[tuple[int, float, float, float]]:
    largest = np.maximum(np.abs(x.max(rest).astype(np.float64)), np.abs(x.min(rest).astype(np.float64)))
    if x.dtype.kind in "iu" and largest.max() <= 1 / HALF:
        return []
    deviation = x.std(rest, dtype=np.float64)
    found = []
    for k in np.flatnonzero((largest * HALF > LOST * deviation) | (deviation < TINY)):
        column = x[:, k]
        offset = column.flat[0].item() if column.dtype.kind in "iu" else 0
        rounded = column.astype(np.float32)
        if offset:  # float64 does not hold all whole numbers, their distances from one of them it does
            column, rounded = (np.array([int(v) - offset for v in part.flat], float) for part in (column, rounded))
        values = column.astype(np.float64)
        mean, std = float(values.mean()) + offset, float(values.std())
        if std <= 10 * np.finfo(np.float64).eps * abs(0 if offset else mean):
            continue
        error = float(np.sqrt(np.square(values - rounded).mean()))
        if np.isfinite(error) and error > LOST * std:
            found.append((int(k), mean, std, error))
    return found


def warn_of_lost(x: Any, remedy: str, where: str = "", names: Sequence[Any] = ()) -> None:
    """A word where `find_lost` finds something.

    Args
        remedy: what to do, besides subtracting an offset
        where: before the column, `s_x: `
        names: of the columns, where they have some
    """
    lost = find_lost(x)
    if not lost:
        return
    k, mean, deviation, error = lost[0]
    name = f"'{names[k]}'" if len(names) > k else str(k)
    more = f" ({len(lost)} such columns)" if len(lost) > 1 else ""
    warnings.warn(
        f"{where}column {name} varies by {deviation:.2g} around {mean:.6g}, which float32 rounds by {error:.2g}{more}; "
        f"subtract an offset{f', or {remedy}' if remedy else ''}",
        UserWarning,
        stacklevel=4,
    )


def keep_digits(parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Rows of several domains as float32, or all as float64 where that holds what float32 does not."""
    kind = np.float64 if any(map(find_lost, parts)) else np.float32
    return [part.astype(kind, copy=False) for part in parts]


def refuse_long(features: Any) -> None:
    """DalibError for whole numbers of which float64, as which they are read, does not keep the digits that vary."""
    for name in features.columns:
        column = features[name]
        if column.dtype.kind not in "iu" or column.isna().any() or not len(column):
            continue
        least, most = int(column.min()), int(column.max())
        if max(-least, most) < EXACT:
            continue
        values = list(map(int, column.tolist()))
        error = np.array([float(v - int(float(v))) for v in values])
        deviation = np.array([float(v - least) for v in values]).std()
        if np.sqrt(np.square(error).mean()) > LOST * deviation:
            raise DalibError(
                f"column '{name}' holds whole numbers up to {most}, of which float64 does not keep the digits that "
                "vary; subtract an offset"
            )
