"""Arrays as a caller hands them over: read, or refused with what is wrong and what helps."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dalib.core.rows import combine
from dalib.data.declaration import lookalike
from dalib.data.features import MISSING
from dalib.data.narrow import warn_of_lost

Rows = ArrayLike | Mapping[str, ArrayLike]
Moments = tuple[np.ndarray, np.ndarray]


def read_rows(X: Rows, numbers: bool = False) -> np.ndarray:
    """Rows (n, *S), or a structured array of several modalities; floats in float32, whole numbers as they are.

    Args
        numbers: the network takes no token ids, so whole numbers are numbers like others
    Raises
        TypeError: sparse rows
        ValueError: words, series of unequal length, one axis, no rows, NaN, infinity, or a number beyond float32
    """
    if isinstance(X, Mapping):
        return combine({name: read_rows(part, numbers) for name, part in X.items()})
    if hasattr(X, "toarray"):
        raise TypeError("rows are sparse, but dense ones are needed; use .toarray() to make them dense")
    x = _as_array(unwrap_rows(X))
    if x.dtype.names:
        return x
    if x.dtype.kind == "O":
        try:
            x = x.astype(np.float64)
        except (TypeError, ValueError):
            raise ValueError("rows hold words or objects; encode them as numbers") from None
    if x.dtype.kind not in "iufb" or x.ndim < 2:
        raise ValueError(f"rows have shape {x.shape} and dtype {x.dtype}; give numbers, one row per sample, or a dict")
    if x.dtype.kind in "iu" and not (numbers and x.ndim < 4):
        return x
    warn_of_lost(x, "standardise it first", names=list(getattr(X, "columns", ())))
    with np.errstate(over="ignore"):
        narrow: np.ndarray = x.astype(np.float32)
    if not np.isfinite(narrow).all():
        if np.isfinite(x).all():
            raise ValueError(f"rows hold {np.abs(x).max():.3g}, beyond what float32 can; scale them")
        raise ValueError("rows hold NaN or infinity; remove or fill them")
    return narrow


def unwrap_rows(X: Any) -> Any:
    """Tables of numbers with columns of their own, masked arrays without a masked value, tensors: as plain ones.

    Raises
        ValueError: masked values, dates, words in a column, columns that share a name
    """
    if hasattr(X, "detach"):
        return X.detach().cpu().numpy()
    if isinstance(X, np.ma.MaskedArray):
        if np.ma.getmaskarray(X).any():
            raise ValueError(f"rows hold {int(np.ma.getmaskarray(X).sum())} masked values; fill them or leave rows out")
        return X.data
    if getattr(getattr(X, "dtype", None), "kind", "") in tuple("Mm"):
        raise ValueError("rows hold dates or times; encode them as numbers")
    names = list(getattr(X, "columns", ()))
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise ValueError(f"{names.count(twice[0])} columns are called {twice[0]!r}; give each a name of its own")
    thin = {}
    for name in names:
        kind = X[name].dtype
        if kind.kind not in "iufb" and not (kind.kind == "O" and _are_numbers(X[name])):
            raise ValueError(f"column {name!r} holds {kind} values; encode it as numbers")
        if hasattr(kind, "subtype") and hasattr(kind, "fill_value"):
            thin[name] = kind.subtype
        elif hasattr(kind, "na_value") and kind.kind in "iuf" and X[name].isna().any():
            thin[name] = np.dtype(np.float64)
    return X.astype(thin) if thin else X


def plain_table(X: Any) -> Any:
    """`unwrap_rows` of what has one table; ValueError for several modalities."""
    named = isinstance(X, Mapping) and not hasattr(X, "toarray")
    names = list(X) if named else getattr(getattr(X, "dtype", None), "names", None)
    if names:
        raise ValueError(f"X holds several modalities ({', '.join(names)}); give backbone='modalities' for them")
    return unwrap_rows(X)


def told_table(X: Any) -> Any:
    """`plain_table`, and a word on columns of which float32 keeps too little; standardising comes too late for them."""
    table = plain_table(X)
    if hasattr(table, "shape"):
        warn_of_lost(np.asarray(table), "standardise it first", "X: ", list(getattr(table, "columns", ())))
    return table


def _are_numbers(column: Any) -> bool:
    try:
        np.asarray(column).astype(np.float64)
    except (TypeError, ValueError):
        return False
    return column.dtype == object


def _as_array(X: Any) -> np.ndarray:
    try:
        return np.asarray(X)
    except ValueError:
        lengths = sorted({np.shape(part)[-1] for part in X if np.ndim(part)} if hasattr(X, "__iter__") else ())
        span = f" ({lengths[0]} to {lengths[-1]})" if len(lengths) > 1 else ""
        raise ValueError(f"series differ in length{span}: pad or cut them") from None


def order_modalities(x: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """The modalities in the order of `names`: they are told apart by name, never by place.

    Raises
        ValueError: one is missing, or one is not known
    """
    given = x.dtype.names or ()
    if given == names:
        return x
    if set(given) != set(names):
        raise ValueError(f"modalities are {', '.join(given) or 'none'}; fit was given {', '.join(names) or 'none'}")
    return combine({name: x[name] for name in names})


def read_labels(y: Any) -> Any:
    """Labels as scikit-learn takes them; what it refuses with good words is left to it.

    A word where -1, or a word such as 'nan', looks like a label that is missing.

    Raises
        ValueError: None, NaN or masked values among the labels, dates, words beside numbers
    """
    if isinstance(y, np.ma.MaskedArray) and np.ma.getmaskarray(y).any():
        missing, label = np.flatnonzero(np.ma.getmaskarray(y)).tolist(), "a masked value"
    else:
        missing = [i for i, label in enumerate(np.asarray(y).tolist()) if _is_missing(label)]
        label = "None" if missing and np.asarray(y)[missing[0]] is None else "NaN"
    if missing:
        raise ValueError(
            f"y holds {label} in row {missing[0]} ({len(missing)} in all): rows without a label belong into X_target"
        )
    if hasattr(y, "detach"):
        y = y.detach().cpu().numpy()
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] > 1:
        raise ValueError(f"y should be a 1d array, got shape {labels.shape}; of one-hot rows give y.argmax(1)")
    if labels.dtype.kind in "Mm":
        raise ValueError("y holds dates or times; give words, y.astype(str)")
    if labels.dtype.kind == "O" and labels.ndim == 1:
        types = {type(label).__name__: label for label in labels.tolist()}
        if len(types) > 1:
            both = " and ".join(f"{label!r} ({name})" for name, label in sorted(types.items())[:2])
            raise ValueError(f"y mixes {both}; give labels of one type")
        if {"int", "float", "bool"}.intersection(types):
            labels = y = np.array(labels.tolist())
    _doubt_labels(labels)
    return y


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except (TypeError, ValueError):  # pandas.NA compares as neither
        return True


def _doubt_labels(y: np.ndarray) -> None:
    odd, n = "", 0
    if y.dtype.kind in "if" and (y == -1).any() and not set(np.unique(y).tolist()) <= {-1, 1}:
        odd, n = "-1", int((y == -1).sum())
    elif y.dtype.kind in "UO" and y.ndim == 1:
        _doubt_spelling({label for label in y.tolist() if isinstance(label, str)})
        words = [w for w in y.tolist() if isinstance(w, str) and (w in MISSING or not w.strip())]
        odd, n = (f"'{words[0]}'", words.count(words[0])) if words else ("", 0)
    if odd:
        warnings.warn(
            f"y holds the label {odd} ({n} rows), which is taken for a class; if it means 'no label', those rows "
            "belong into X_target",
            UserWarning,
            stacklevel=5,
        )


def _doubt_spelling(words: set[str]) -> None:
    seen: dict[str, str] = {}
    for word in sorted(words):
        other = seen.setdefault(lookalike(word), word)
        if other != word:
            warnings.warn(
                f"y holds {other!r} and {word!r}, which are taken for two classes; if they are one, spell them alike",
                UserWarning,
                stacklevel=6,
            )
            return


def find_column_moments(x: np.ndarray) -> Moments:
    """Mean and standard deviation of each column, float64; 1 for one that is constant up to rounding."""
    wide = x.astype(np.float64)
    mean = wide.mean(0)
    std = np.sqrt(np.square(wide - mean).mean(0))
    return mean, np.where(std > 10 * np.finfo(np.float64).eps * np.abs(mean), std, 1.0)


def scale_columns(x: np.ndarray, moments: Moments) -> np.ndarray:
    """(x - mean) / deviation, computed in float64."""
    return ((x.astype(np.float64) - moments[0]) / moments[1]).astype(np.float32)
