"""What is odd about arrays that can be used all the same: said once, in a warning."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dalib.core.rows import RowView
from dalib.data.given import Moments, find_column_moments

FAR, SCALES, LEAST, MOST = 100.0, 1e4, 3e-5, 1e12
EXPECTED = 20
"""Target rows of a class, by the source's proportions, of which none may be missing by chance."""
CONSTANT = 0.03
"""Ten times the least deviation that a batch norm sees, sqrt(1e-5)."""


def warn_of_unit(x: np.ndarray | RowView) -> None:
    """A word where numbers vary so little that a batch norm, whose smallest variance is 1e-5, sees none; or too much.

    x: rows as a network takes them; pixels, token ids and features of a usual size pass
    """
    for name in x.dtype.names or ("",):
        part = x[name] if name else x
        if isinstance(part, RowView) or part.dtype.kind != "f" or len(part) < 2:
            continue
        sample = part[np.linspace(0, len(part) - 1, min(len(part), 500)).astype(int)].astype(np.float64)
        spread = float(np.sqrt(sample.var(0).mean()))
        if spread > MOST:
            warnings.warn(
                f"{f'{name}: ' if name else ''}the rows' numbers vary by {spread:.1e}, whose squares float32 cannot "
                "hold; give them in another unit, or standardised",
                UserWarning,
                stacklevel=4,
            )
        elif 0 < spread < LEAST:
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


def find_absent(labels: np.ndarray, answers: np.ndarray, classes: Sequence[Any]) -> str:
    """Which rare class no row of the target is called, though so many are expected that it is no chance; or nothing.

    Rare: less than half of what a class has where all are alike.

    labels: of the source, int64; answers: for the target's rows
    """
    share = np.bincount(labels, minlength=len(classes)) / len(labels)
    called = np.bincount(answers, minlength=len(classes))[: len(classes)]
    rare = (share < 0.5 / len(classes)) & (share * len(answers) >= EXPECTED)
    lost = np.flatnonzero(rare & (called == 0)).tolist()
    if not lost:
        return ""
    names = ", ".join(f"{classes[k]!r} ({share[k]:.0%} of the source)" for k in lost[:4])
    return (
        f"none of the {len(answers)} target rows is called {names}; where classes are more or less frequent in the "
        "target and else alike, label_shift re-estimates their proportions"
    )


def warn_of_absent(labels: np.ndarray, answers: np.ndarray, classes: Sequence[Any]) -> None:
    """What `find_absent` finds."""
    text = find_absent(labels, answers, classes)
    if text:
        warnings.warn(text, UserWarning, stacklevel=3)


def warn_of_equal_rows(x_s: np.ndarray, x_t: np.ndarray) -> None:
    """A word where a domain's rows are all the same."""
    for name, x in (("X", x_s), ("X_target", x_t)):
        if len(x) > 1 and bool((x == x[:1]).all()):
            text = f"all rows of {name} are equal: nothing can be told apart"
            warnings.warn(text, UserWarning, stacklevel=3)


def warn_of_scales(x_s: np.ndarray, x_t: np.ndarray, features: bool) -> None:
    """What `find_scales` finds, said of X and X_target."""
    hint = " (a Pipeline scales X only: with metadata routing, transform_input=['X_target'])"
    for text in find_scales(x_s, x_t, features, ("X", "X_target"), "standardise = True", hint):
        warnings.warn(text, UserWarning, stacklevel=3)


def find_scales(
    x_s: np.ndarray | RowView,
    x_t: np.ndarray | RowView,
    features: bool,
    names: tuple[str, str],
    scaling: str,
    hint: str = "",
) -> Iterator[str]:
    """Sentences where the target lies far outside the source, or was scaled otherwise, or where columns' units decide.

    A column that hardly varies in the source counts as if it had a tenth of the median deviation.

    Args
        features: the columns are not scaled by a network's own normalisation
        names: of source and target
        scaling: what scales the columns
        hint: why a target may not be scaled
    """
    if x_s.ndim != 2 or x_s.dtype.kind != "f" or x_t.shape[1:] != x_s.shape[1:] or not len(x_t) or len(x_s) < 2:
        return
    source, target = names
    given, wide = np.asarray(x_s), np.asarray(x_t).astype(np.float64)
    mean, std = find_column_moments(given)
    varies = np.ptp(given, axis=0) > 0
    least = 0.1 * np.median(std[varies]) if varies.any() else 1.0
    distance = np.abs(wide.mean(0) - mean)
    away = np.where(varies, distance / np.maximum(std, least), 0)
    ratio = float(np.median(wide.std(0)[varies] / std[varies])) if varies.any() and len(wide) > 1 else 0.0
    if away.max(initial=0) > FAR:
        far = f"{away.max():.0f} standard deviations of {source}"
        yield f"column {away.argmax()} of {target} lies {far} away; was {target} scaled like {source}?{hint}"
    elif ratio and not 1 / FAR < ratio < FAR:
        times = f"vary {ratio:.1e} times as much as those of {source} (median)"
        yield f"the columns of {target} {times}; was {target} scaled like {source}?{hint}"
    still = distance * ~varies
    if not features and still.max() > CONSTANT:
        column = f"column {still.argmax()} is {mean[still.argmax()]:g} in all rows of {source}, but not in {target}"
        yield f"{column}: nothing is learnt about it, and a batch norm would take it for far away; leave it out"
    spread = std[varies]
    if features and len(spread) > 1 and spread.max() > SCALES * spread.min():
        factor = f"{spread.max() / spread.min():.0e}, so that a few columns decide every distance"
        yield f"standard deviations of the columns of {source} differ by a factor of {factor}; {scaling} scales them"
