"""Labels of a feature file that are no classes: numbers, or several yes/no answers per row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from dalib.core.errors import DalibError, unknown
from dalib.core.limits import LARGEST_ANSWER
from dalib.core.registry import OBJECTIVES
from dalib.data.narrow import warn_of_lost

OTHER_UNIT = 8.0
"""Ratio of typical sizes from which answers that do not overlap are asked for their unit."""


def read_answers(
    path: Path, objective: str, arrays: Mapping[str, np.ndarray], rows: Mapping[str, int]
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """(names of the outputs, domain -> y): int64 (n, K) of 0, 1 and -1 for `multilabel`, float32 (n, m) else.

    Args
        rows: labelled domain -> rows that it has
    Raises
        DalibError: an unknown objective, labels of another shape, NaN, or answers that are neither 0, 1 nor -1
    """
    if objective not in OBJECTIVES:
        raise unknown("objective", objective, OBJECTIVES.names(), f"key objective of {path}")
    y = {domain: read_domain(path, objective, f"{domain}_y", arrays, n) for domain, n in rows.items()}
    widths = {domain: answers.shape[1] for domain, answers in y.items()}
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{domain} {width}" for domain, width in widths.items())
        raise DalibError(f"{path}: domains have different numbers of outputs ({listed}); give every domain the same")
    width = next(iter(widths.values()))
    names = arrays.get("classes")
    if names is None:
        return tuple(f"y{i}" for i in range(width)), y
    if names.shape != (width,) or len(set(map(str, names))) < width:
        raise DalibError(
            f"{path}: classes must be {width} distinct names, one per output; their shape is {names.shape}"
        )
    return tuple(map(str, names)), y


def read_domain(path: Path, objective: str, key: str, arrays: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """The answers `key` of one domain of n rows, (n, m); raises as `read_answers` does."""
    y = arrays[key]
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or len(y) != n or not y.shape[1]:
        raise DalibError(
            f"{path}: {key} has shape {arrays[key].shape} but there are {n} rows; {objective} needs ({n}, m)"
        )
    if y.dtype.kind not in "iufb" or not np.isfinite(y).all():
        raise DalibError(f"{path}: {key} holds {y.dtype} values, or NaN; {objective} needs finite numbers")
    if objective != "multilabel":
        refuse_large(f"{path}: {key}", y)
        warn_of_lost(y, "", f"{path}, {key}: ")
        return y.astype(np.float32)
    strange = y[~np.isin(y, (-1, 0, 1))]
    if len(strange):
        raise DalibError(f"{path}: {key} holds {strange[0]}; answers are 0, 1, or -1 where nobody said")
    return y.astype(np.int64)


def refuse_large(where: str, y: np.ndarray) -> None:
    """DalibError where squares of answers are beyond float32, in which they are learnt and measured."""
    largest = float(np.abs(y.astype(np.float64)).max(initial=0))
    if largest > LARGEST_ANSWER:
        raise DalibError(f"{where} holds {largest:.3g}, whose square float32 cannot hold; give it in a larger unit")


def odd_answers(objective: str, names: Sequence[str], y: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str, str]]:
    """(domain, output, what is odd): an answer that never changes or is never given, or is as if in another unit.

    y: domain -> (n, m), n >= 1, in one order of outputs
    """
    first = next(iter(y), "")
    for domain, rows in y.items():
        for k, name in enumerate(names):
            said = rows[rows[:, k] >= 0, k] if objective == "multilabel" else rows[:, k]
            if not len(said):
                yield domain, name, f"-1 in all {len(rows)} rows: nobody said"
            elif len(said) > 1 and said.min() == said.max():
                yield domain, name, f"{said[0]:g} in all {len(said)} rows that have it"
            elif objective == "regression" and _differs_in_unit(said, y[first][:, k]):
                yield (
                    domain,
                    name,
                    f"from {said.min():g} to {said.max():g}, in '{first}' from {y[first][:, k].min():g} to "
                    f"{y[first][:, k].max():g}: another unit?",
                )


def _differs_in_unit(a: np.ndarray, b: np.ndarray) -> bool:
    apart = a.min() > b.max() or b.min() > a.max()
    low, high = sorted(float(np.median(np.abs(v))) for v in (a, b))
    return bool(apart and high > OTHER_UNIT * low)
