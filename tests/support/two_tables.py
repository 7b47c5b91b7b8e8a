"""Small tables of two domains for the tests of the scikit-learn face."""

from __future__ import annotations

import numpy as np


def shifted(
    n: int = 120, width: int = 5, shift: float = 3.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(X_s, y_s, X_t, y_t): three classes; the target's columns are stretched and moved."""
    rng = np.random.default_rng(seed)
    means, y_s, y_t = rng.normal(size=(3, width)) * 2, rng.integers(0, 3, n), rng.integers(0, 3, n - 20)
    X_s, X_t = (means[y] + 0.7 * rng.normal(size=(len(y), width)) for y in (y_s, y_t))
    return X_s, y_s, X_t * np.linspace(0.6, 1.6, width) + shift, y_t


def one_table(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(X, y, sample_domain) of `shifted`, its rows in random order; y has the target's true labels."""
    X_s, y_s, X_t, y_t = shifted(seed=seed)
    order = np.random.default_rng(1).permutation(len(X_s) + len(X_t))
    sign = np.r_[np.ones(len(X_s), int), -np.ones(len(X_t), int)]
    return np.concatenate([X_s, X_t])[order], np.concatenate([y_s, y_t])[order], sign[order]
