"""Two tables of which the target has a few labels, and a column that means the opposite there."""

from __future__ import annotations

import numpy as np


def few_labels(n: int = 300, m: int = 200, width: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(X_s, y_s, X_t, y_t): two classes; ten columns say a little in both domains, the first the opposite in each."""
    rng = np.random.default_rng(0)
    y_s, y_t = rng.integers(0, 2, n), rng.integers(0, 2, m)
    X_s, X_t = (rng.normal(size=(len(y), width)) + 0.4 * (2 * y[:, None] - 1) for y in (y_s, y_t))
    X_s[:, 0] += 1.5 * (2 * y_s - 1)
    X_t[:, 0] -= 1.5 * (2 * y_t - 1)
    return X_s, y_s, X_t, y_t
