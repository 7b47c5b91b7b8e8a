"""Numbers about two samples of features: how far apart they are, and what a linear probe makes of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from dalib.nn.discrepancy import mmd2, squared_distances

Array = NDArray[np.floating]
Labels = NDArray[np.int64]
A_FOLDS, PROBE_FOLDS = 5, 3
MMD_ROWS = 500
"""Rows of each sample that the MMD looks at; its cost grows with their square."""


def proxy_a_distance(z_s: Array, z_t: Array, folds: int = A_FOLDS, seed: int = 0) -> float:
    """2 (1 - 2 err), err = balanced error of a linear domain classifier on rows that it was not fitted to.

    z_s (n_s, d), z_t (n_t, d); 0 = cannot be told apart, 2 = always told apart, below 0 by chance. The classifier is a
    logistic regression (C = 1, both domains with the same total weight) on rows centred and scaled together to a mean
    variance of 1; `folds` stratified folds. nan with fewer than two rows in a domain.
    Ben-David et al. A theory of learning from different domains. Machine Learning 2010. doi:10.1007/s10994-009-5152-4.
    `dalib.nn.separability.a_distance` is the same on training rows, which always are apart in many dimensions.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = min(folds, len(z_s), len(z_t))
    if folds < 2:
        return math.nan
    z = np.concatenate([z_s, z_t]).astype(np.float64)
    z -= z.mean(0)
    z /= max(float(np.sqrt(np.square(z).mean())), np.finfo(np.float64).tiny)
    domain = (np.arange(len(z)) >= len(z_s)).astype(np.int64)
    model = LogisticRegression(class_weight="balanced", max_iter=300)
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong = cross_val_predict(model, z, domain, cv=split) != domain
    return float(2 * (1 - wrong[: len(z_s)].mean() - wrong[len(z_s) :].mean()))


def median_mmd2(z_s: Array, z_t: Array, rows: int = MMD_ROWS, seed: int = 0) -> float:
    """Unbiased MMD² of at most `rows` rows each; a Gaussian kernel, sigma² = median squared distance of the pool."""
    if min(len(z_s), len(z_t)) < 2:
        return math.nan
    rng = np.random.default_rng(seed)
    s, t = (torch.as_tensor(z[rng.permutation(len(z))[:rows]], dtype=torch.float64) for z in (z_s, z_t))
    pool = torch.cat([s, t])
    pool = pool - pool.mean(0)
    pairs = torch.triu_indices(len(pool), len(pool), 1)
    median = float(squared_distances(pool, pool)[pairs[0], pairs[1]].median())
    return float(mmd2(s, t, [max(median, 1e-30)]))


def within(distance: Callable[[Array, Array], float], z_s: Array, z_t: Array, seed: int = 0) -> float:
    """The yardstick of a distance: its mean size between random halves of one domain, over both domains."""
    rng = np.random.default_rng(seed)
    halves_apart = []
    for z in (z_s, z_t):
        order = rng.permutation(len(z))
        halves_apart.append(abs(distance(z[order[: len(z) // 2]], z[order[len(z) // 2 :]])))
    return float(np.mean(halves_apart))


def label_shift(source: Mapping[str, int], target: Mapping[str, int]) -> tuple[float, float]:
    """(total variation of the class proportions, what two samples of these sizes show by chance); over shared classes.

    1/2 sum_c |p_c - q_c|; by chance sum_c sqrt(p_c (1 - p_c) (1/n_s + 1/n_t) / (2 pi)), p the pooled proportions.
    """
    shared = [c for c in source if source[c] and target.get(c)]
    if not shared:
        return math.nan, math.nan
    s, t = (np.array([counts[c] for c in shared], float) for counts in (source, target))
    p = (s + t) / (s.sum() + t.sum())
    spread = np.sqrt(p * (1 - p) * (1 / s.sum() + 1 / t.sum()) / (2 * math.pi)).sum()
    return float(np.abs(s / s.sum() - t / t.sum()).sum() / 2), float(spread)


def probe(z: Array, y: Labels, z_test: Array, y_test: Labels) -> float:
    """Accuracy of the logistic regression of `linear_probe` (C = 1, features as they are, at most 300 iterations)."""
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(y)) < 2 or not len(y_test):
        return math.nan
    centre = z.mean(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=1.0, max_iter=300, tol=1e-3).fit(z - centre, y)
    return float((model.predict(z_test - centre) == y_test).mean())


def cross_validated_probe(z: Array, y: Labels, more: tuple[Array, Labels] | None = None, seed: int = 0) -> float:
    """Accuracy of `probe` on held-out rows of z (three stratified folds); rows of `more` join every training part.

    nan when no class has as many rows as there are folds.
    """
    from sklearn.model_selection import StratifiedKFold

    if np.bincount(y).max(initial=0) < PROBE_FOLDS:
        return math.nan
    right = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folds = list(StratifiedKFold(PROBE_FOLDS, shuffle=True, random_state=seed).split(z, y))
    for train, test in folds:
        z_train, y_train = z[train], y[train]
        if more is not None:
            z_train, y_train = np.concatenate([more[0], z_train]), np.concatenate([more[1], y_train])
        right += probe(z_train, y_train, z[test], y[test]) * len(test)
    return right / len(y)
