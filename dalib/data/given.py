"""Arrays as a caller hands them over: read, or refused with what is wrong and what helps."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dalib.core.rows import RowView, combine

Rows = ArrayLike | Mapping[str, ArrayLike]
Moments = tuple[np.ndarray, np.ndarray]
FAR, SCALES, LEAST = 100.0, 1e4, 3e-5


def read_rows(X: Rows, numbers: bool = False) -> np.ndarray:
    """Rows (n, *S), or a structured array of several modalities; floats in float32, whole numbers as they are.

    Args
        numbers: the network takes no token ids, so whole numbers are numbers like others
    Raises
        TypeError: sparse rows
        ValueError: words, series of unequal length, one axis, NaN, infinity, or a number beyond float32
    """
    if isinstance(X, Mapping):
        return combine({name: read_rows(part, numbers) for name, part in X.items()})
    if hasattr(X, "toarray"):
        raise TypeError("rows are sparse, but dense ones are needed; use .toarray() to make them dense")
    table: Any = X
    for column in getattr(X, "columns", ()):
        if table[column].dtype.kind not in "iufb":
            raise ValueError(f"column {column!r} holds {table[column].dtype} values; encode it as numbers")
    x = _as_array(X)
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
    with np.errstate(over="ignore"):
        narrow: np.ndarray = x.astype(np.float32)
    if not np.isfinite(narrow).all():
        if np.isfinite(x).all():
            raise ValueError(f"rows hold {np.abs(x).max():.3g}, beyond what float32 can; scale them")
        raise ValueError("rows hold NaN or infinity; remove or fill them")
    return narrow


def _as_array(X: Any) -> np.ndarray:
    if hasattr(X, "detach"):
        X = X.detach().cpu()
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


def check_labels(y: np.ndarray) -> None:
    """Refuse labels that are missing, and say so where -1 looks like one.

    Raises
        ValueError: None or NaN among the labels
    """
    missing = [i for i, label in enumerate(y.tolist()) if label is None or label != label]
    if missing:
        label = "None" if y[missing[0]] is None else "NaN"
        raise ValueError(
            f"y holds {label} in row {missing[0]} ({len(missing)} in all): rows without a label belong into X_target"
        )
    if y.dtype.kind in "if" and (y == -1).any() and not set(np.unique(y).tolist()) <= {-1, 1}:
        warnings.warn(
            f"y holds the label -1 ({int((y == -1).sum())} rows), which is taken for a class; if it means 'no label', "
            "those rows belong into X_target",
            UserWarning,
            stacklevel=4,
        )


def find_column_moments(x: np.ndarray) -> Moments:
    """Mean and standard deviation of each column, float64; 1 for one that is constant up to rounding."""
    wide = x.astype(np.float64)
    mean = wide.mean(0)
    std = np.sqrt(np.square(wide - mean).mean(0))
    return mean, np.where(std > 10 * np.finfo(np.float64).eps * np.abs(mean), std, 1.0)


def scale_columns(x: np.ndarray, moments: Moments) -> np.ndarray:
    """(x - mean) / deviation, computed in float64."""
    return ((x.astype(np.float64) - moments[0]) / moments[1]).astype(np.float32)


def warn_of_unit(x: np.ndarray | RowView) -> None:
    """A word where numbers vary so little that a batch norm, whose smallest variance is 1e-5, takes them for constant.

    x: rows as a network takes them; pixels, token ids and features of a usual size pass
    """
    for name in x.dtype.names or ("",):
        part = x[name] if name else x
        if isinstance(part, RowView) or part.dtype.kind != "f" or len(part) < 2:
            continue
        sample = part[np.linspace(0, len(part) - 1, min(len(part), 500)).astype(int)].astype(np.float64)
        spread = float(np.sqrt(sample.var(0).mean()))
        if 0 < spread < LEAST:
            warnings.warn(
                f"{f'{name}: ' if name else ''}the rows' numbers vary by {spread:.1e} only, too little for a network's "
                "batch norms; give them in another unit, or standardised",
                UserWarning,
                stacklevel=4,
            )


def warn_of_source_rows(x: np.ndarray, moments: tuple[Moments, Moments] | None) -> None:
    """A word where the mean of rows to predict (n, d) is that of the source and, beyond chance, not the target's.

    In deviations of the source, root mean square over columns; a random mean of n rows lies 1 / sqrt(n) away.

    moments: of source and target; None where there is no target of its own
    """
    if moments is None or len(x) < 2:
        return
    source, target = moments

    def away(mean: np.ndarray) -> float:
        return float(np.sqrt(np.square((x.mean(0, dtype=np.float64) - mean) / source[1]).mean()))

    near, far = away(source[0]), away(target[0])
    if far > 3 * near and far - near > 4 / np.sqrt(len(x)):
        warnings.warn(
            "these rows look like X of fit, the source, but every row is taken for one of the target: accuracies on "
            "held-out source rows, as of cross_val_score and GridSearchCV, do not say which method is good on the "
            "target; choose by scoring=target_scorer(X_target)",
            UserWarning,
            stacklevel=4,
        )


def warn_of_scales(x_s: np.ndarray, x_t: np.ndarray, features: bool) -> None:
    """A word where the target lies far outside the source, or where the columns' units decide.

    A column that hardly varies in the source counts as if it had a tenth of the median deviation.

    features: the columns are not scaled by a network's own normalisation
    """
    if x_s.ndim != 2 or x_s.dtype.kind != "f" or x_t.shape[1:] != x_s.shape[1:] or len(x_s) < 2:
        return
    mean, std = find_column_moments(x_s)
    varies = np.ptp(x_s, axis=0) > 0
    least = 0.1 * np.median(std[varies]) if varies.any() else 1.0
    away = np.where(varies, np.abs(x_t.astype(np.float64).mean(0) - mean) / np.maximum(std, least), 0)
    if away.max(initial=0) > FAR:
        column = int(away.argmax())
        warnings.warn(
            f"column {column} of X_target lies {away[column]:.0f} standard deviations of X away; was X_target scaled "
            "like X? (a Pipeline scales X only: set_fit_request(X_target=True) and transform_input=['X_target'])",
            UserWarning,
            stacklevel=4,
        )
    spread = std[varies]
    if features and len(spread) > 1 and spread.max() > SCALES * spread.min():
        warnings.warn(
            f"standard deviations of the columns of X differ by a factor of {spread.max() / spread.min():.0e}, so that "
            "a few columns decide every distance; standardise = True scales them",
            UserWarning,
            stacklevel=4,
        )
