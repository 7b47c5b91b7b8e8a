"""Rows as they are, where unit length loses what they hold."""

from __future__ import annotations

import numpy as np
import pytest

from dalib import AdaptationClassifier
from dalib.core.registry import ALGORITHMS

METHODS = ("ot_map", "tca", "jda", "bda", "tjm")


def draw(n: int, at: float, columns: int) -> tuple[np.ndarray, np.ndarray]:
    rng, y = np.random.default_rng(n), np.arange(n) % 2
    x = rng.normal(size=(n, columns)) * 0.3
    x[:, 0] += 3 * y + at
    return np.c_[x, np.full(n, 1e4)] if columns > 1 else x, y


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("name", METHODS)
def test_unit_rows_that_lose_the_classes_are_said_and_rows_as_they_are_keep_them(name: str, columns: int) -> None:
    (X_s, y_s), (X_t, y_t) = draw(100, 5, columns), draw(80, 5.5, columns)
    cls = ALGORITHMS.get(name)
    more = {} if name == "ot_map" else {"classifier": "logistic"}
    with pytest.warns(UserWarning, match=f"{name} scales rows to unit length.*set unit_rows = False"):
        AdaptationClassifier(cls(**more), device="cpu").fit(X_s, y_s, X_t)
    model = AdaptationClassifier(cls(unit_rows=False, **more), device="cpu").fit(X_s, y_s, X_t)
    assert model.score(X_t, y_t) > 0.9
