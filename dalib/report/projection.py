"""Features in two dimensions, for the eye: PCA or t-SNE of several sets of rows in one common map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dalib.core.errors import DalibError, unknown

METHODS = ("pca", "tsne")


def project(sets: Sequence[np.ndarray], method: str = "pca", seed: int = 0) -> list[np.ndarray]:
    """Each set (n_i, d) as (n_i, 2), all in one map.

    PCA: of the rows of all sets together, centred, the sign such that the largest loading is positive. t-SNE: of
    the first 50 principal components, started from the first two, perplexity 30 or a third of the rows. Distances
    between far points of a t-SNE say nothing, nor does the size of its clusters.

    Raises
        DalibError: another method, fewer than four rows, or rows that are not finite
    """
    if method not in METHODS:
        raise unknown("projection", method, METHODS)
    rows = np.concatenate([np.asarray(x, dtype=np.float64).reshape(len(x), -1) for x in sets])
    if len(rows) < 4:
        raise DalibError(f"{len(rows)} rows are too few for a map of features; give four or more")
    if not np.isfinite(rows).all():
        raise DalibError("the features hold numbers that are not finite; the model has diverged")
    flat = _components(rows, 2 if method == "pca" else min(50, *rows.shape))
    if method == "tsne" and flat.std() > 0:
        from sklearn.manifold import TSNE

        start = 1e-4 * flat[:, :2] / max(flat[:, 0].std(), 1e-30)
        start = np.pad(start, ((0, 0), (0, 2 - start.shape[1])))
        flat = TSNE(init=start, perplexity=min(30, (len(rows) - 1) / 3), random_state=seed).fit_transform(flat)
    flat = np.pad(flat[:, :2], ((0, 0), (0, max(2 - flat.shape[1], 0))))
    return np.split(flat, np.cumsum([len(x) for x in sets])[:-1])


def thin(number: int, most: int, seed: int = 0) -> np.ndarray:
    """Indices of at most `most` of `number` rows, drawn without replacement, in order."""
    if number <= most:
        return np.arange(number)
    return np.sort(np.random.default_rng(seed).choice(number, most, replace=False))


def _components(rows: np.ndarray, number: int) -> np.ndarray:
    centred = rows - rows.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:number]
    largest = np.abs(axes).argmax(1)
    return centred @ (axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]).T
