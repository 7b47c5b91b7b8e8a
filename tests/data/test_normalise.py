"""Moments that travel: a row is scaled alike alone and among others."""

from __future__ import annotations

import numpy as np
import pytest

from dalib.data.normalise import find_moments, normalise_features


@pytest.mark.parametrize("steps", [("zscore",), ("l2", "zscore"), ("row_sum", "zscore", "l2"), ("zscore", "zscore")])
def test_rows_scaled_by_kept_moments_are_those_scaled_together(steps: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    x = np.c_[rng.uniform(1, 2, (40, 3)), np.full(40, 14.62), 1e9 + rng.normal(size=40)].astype(np.float32)
    together, moments = normalise_features(x, steps), find_moments(x, steps)
    assert np.array_equal(normalise_features(x, steps, moments), together)
    alone = np.concatenate([normalise_features(row[None], steps, moments) for row in x])
    assert np.allclose(alone, together, atol=1e-6) and np.isfinite(together).all()


def test_a_constant_column_stays_0_for_later_rows() -> None:
    moments = find_moments(np.array([[1.0, 5.0], [2.0, 5.0]]), ("zscore",))
    assert normalise_features(np.array([[1.5, 9.0]]), ("zscore",), moments)[0, 1] == 0
