"""Which rows are the source's and which the target's, and which target rows have a label."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length

USES = ("use", "ignore")
SIGNS = (
    "give whole numbers, positive for sources and negative for the target (1 and -1), booleans (True: target), or the "
    "words 'source' and 'target'; of domains' names sign_domains(names, target='…') makes them"
)


def sign_domains(domain: ArrayLike, target: Any) -> np.ndarray:
    """A name per row -> `sample_domain` (n,) int64: k for rows of the k-th source, -k for those of the target.

    k is the place (from 1) in the sorted names.

    Raises
        ValueError: no row is of the target
    """
    names, code = np.unique(np.asarray(domain), return_inverse=True)
    if target not in names.tolist():
        raise ValueError(
            f"target = {target!r} is no domain of these rows; they are {', '.join(map(repr, names.tolist()))}"
        )
    return np.where(names[code] == target, -(code + 1), code + 1).astype(np.int64)


def double_domains(X: Any, y: ArrayLike, domain: ArrayLike) -> tuple[Any, np.ndarray, np.ndarray]:
    """Every row twice, first as one of a source, then as one of a target: (X, y, sample_domain).

    `LeaveOneDomainOut` takes it where estimators adapt to the domain left out.

    domain: a name per row
    """
    from sklearn.utils import _safe_indexing

    check_consistent_length(X, y, domain)
    code = np.unique(np.asarray(domain), return_inverse=True)[1]
    twice = np.tile(np.arange(len(code)), 2)
    return _safe_indexing(X, twice), np.asarray(y)[twice], np.concatenate([code + 1, -(code + 1)]).astype(np.int64)


def read_domains(sample_domain: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """(is target (n,) bool, origin (n,) int64): sources are numbered from 0, target rows have 0.

    Raises
        ValueError: what is none of the ways to say it
    """
    given = np.asarray(sample_domain)
    if given.ndim != 1:
        raise ValueError(f"sample_domain has shape {given.shape}; give one number per row")
    if given.dtype.kind == "b":
        return given, np.zeros(len(given), np.int64)
    if given.dtype.kind in "UO" and set(given.tolist()) <= {"source", "target"}:
        return given == "target", np.zeros(len(given), np.int64)
    if given.dtype.kind not in "if":
        raise ValueError(f"sample_domain holds {given.tolist()[0]!r}; {SIGNS}")
    if given.dtype.kind == "f" and not (np.isfinite(given) & (given == np.round(given))).all():
        raise ValueError(f"sample_domain holds numbers that are not whole; {SIGNS}")
    if (given == 0).any():
        raise ValueError(f"sample_domain holds 0, which is neither source nor target; {SIGNS}")
    target = given < 0
    origin = np.zeros(len(given), np.int64)
    origin[~target] = np.unique(given[~target], return_inverse=True)[1]
    return target, origin


def find_missing(y: np.ndarray, numbers: bool = False) -> np.ndarray:
    """Rows (n,) bool whose label is missing: None, NaN, and of classes -1 or an empty word too.

    numbers: labels are numbers, of which -1 is one
    """
    if y.ndim == 2:
        return find_missing(y[:, 0], numbers)
    if y.dtype.kind == "f":
        return np.isnan(y) | ((y == -1) & (not numbers))
    if y.dtype.kind == "i":
        return (y == -1) & (not numbers)
    if y.dtype.kind == "U":
        return np.isin(y, ["", "-1"])
    if y.dtype.kind == "O":
        return np.array([_is_missing(label, numbers) for label in y.tolist()], bool)
    return np.zeros(len(y), bool)


def _is_missing(label: Any, numbers: bool) -> bool:
    try:
        return label is None or bool(label != label) or (not numbers and label in (-1, "", "-1"))
    except (TypeError, ValueError):  # pandas.NA compares as neither
        return True


def refuse_unsaid(missing: np.ndarray, use: str | None, mark: str) -> None:
    """ValueError where every target row has a label and nothing says whether it may be learned from.

    missing: (n_t,) bool; use: `target_labels` of an estimator; mark: of rows without a label
    """
    if use not in (None, *USES):
        raise ValueError(f"target_labels = {use!r}; say 'use' or 'ignore', or leave it out")
    if use is None and len(missing) and not missing.any():
        raise ValueError(
            f"all {len(missing)} target rows have labels in y: to hide them, set target_labels='ignore' (or y = {mark} "
            "there); to learn from them too, target_labels='use'"
        )


def find_labelled(y_t: np.ndarray, classes: np.ndarray | None, use: str | None) -> np.ndarray:
    """Target rows (n_t,) bool whose labels may be learned from.

    Args
        y_t: labels of all target rows, some of them missing
        classes: of the source; None where labels are numbers
        use: `target_labels` of an estimator
    Raises
        ValueError: every row has one and nothing says whether they are to be used, or a class that no source row has
    """
    missing = find_missing(y_t, numbers=classes is None)
    refuse_unsaid(missing, use, "NaN" if classes is None else "-1")
    if use == "ignore":
        return np.zeros(len(y_t), bool)
    if classes is not None and missing.any() and {-1, "-1", ""}.intersection(classes.tolist()):
        raise ValueError("-1 is a class of the source and the mark of rows without a label; call that class otherwise")
    if classes is not None:
        whole = classes.dtype.kind in "iuf"
        odd = sorted(_spell(y_t[~missing], whole) - _spell(classes, whole))
        if odd and _are_bool(classes) != _are_bool(y_t[~missing]):
            raise ValueError(
                f"y holds {odd[0]} for a target row, and {', '.join(map(str, classes[:4]))} for source rows: give "
                "numbers for both, y.astype(int), or True and False for both (None in an object array is no label)"
            )
        if odd:
            raise ValueError(f"y holds {odd[0]!r} for a target row, a class that no source row has; mark it -1")
    return ~missing


def _are_bool(labels: np.ndarray) -> bool:
    return all(isinstance(label, bool) for label in labels.tolist())


def _spell(labels: np.ndarray, numbers: bool) -> set[str]:
    """Labels as words; of numbers 1.0, as tables with missing ones have it, is 1."""
    whole = (int(v) if numbers and isinstance(v, float) and v.is_integer() else v for v in labels.tolist())
    return {str(label) for label in whole}
