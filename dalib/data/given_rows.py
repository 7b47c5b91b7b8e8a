"""Rows and domains handed to a trained model: numbers that it can take, and labels that are some, or a DalibError."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dalib.core.errors import DalibError
from dalib.core.types import Domain


def check_given(x: np.ndarray, name: str, *, scaled: bool = False) -> np.ndarray:
    """Rows (n, *S), or a structured array (n,) of several modalities; objects that are numbers as float64.

    Args
        name: of the rows, for messages
        scaled: they are normalised before they become float32
    Raises
        DalibError: no axis of rows, words, complex numbers, NaN, infinity, a number beyond float32
    """
    if x.dtype.names:
        for field in x.dtype.names:
            check_given(x[field], f"{name}, {field}")
        return x
    if x.dtype.kind == "O":
        try:
            x = x.astype(np.float64)
        except (TypeError, ValueError):
            raise DalibError(f"{name}: the rows hold words or objects; encode them as numbers") from None
    if x.dtype.kind not in "iufb":
        raise DalibError(f"{name}: the rows are of type {x.dtype}; give real numbers")
    if x.ndim < 2:
        raise DalibError(f"{name}: the rows have the shape {x.shape}; give one row per sample, (n, d); x[None] is one")
    if x.dtype.kind != "f" or np.isfinite(x).all():
        most = 0.0 if scaled or x.dtype.kind != "f" or x.dtype.itemsize <= 4 else float(np.abs(x).max(initial=0))
        if most > float(np.finfo(np.float32).max):
            raise DalibError(f"{name}: the rows hold {most:.3g}, beyond what float32 can; scale them")
        return x
    row = int(np.argmin(np.isfinite(x).reshape(len(x), -1).all(1)))
    raise DalibError(f"{name}: the rows have NaN or infinity, first in row {row}; remove or fill such rows")


def check_domain(domain: Domain) -> Domain:
    """The domain, whose rows `check_given` takes and whose labels are as many; of classes they are int64 in [0, K].

    K, the number of its classes, stands for a row of none of them.

    Raises
        DalibError: they are not
    """
    if isinstance(domain.x, np.ndarray) and domain.x.dtype.kind != "u":
        check_given(domain.x, f"domain '{domain.name}'")
    if domain.y is None:
        return domain
    y, K = np.asarray(domain.y), len(domain.classes)
    if len(y) != len(domain):
        raise DalibError(f"domain '{domain.name}' has {len(domain)} rows and {len(y)} labels; give each row its own")
    if domain.objective != "classification":
        return domain
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise DalibError(
            f"domain '{domain.name}': its labels are {y.dtype} of shape {y.shape}; give whole numbers ({len(y)},), "
            "each the place of its name in the domain's classes"
        )
    odd = np.flatnonzero((y < 0) | (y > K))
    if len(odd):
        raise DalibError(
            f"domain '{domain.name}' has the label {y[odd[0]]} in row {odd[0]} ({len(odd)} rows in all), but labels "
            f"are places in its {K} classes, from 0 to {K - 1}; leave rows without a label out"
        )
    return replace(domain, y=y.astype(np.int64))
