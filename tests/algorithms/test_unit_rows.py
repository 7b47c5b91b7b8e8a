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


@pytest.mark.parametrize(("name", "columns"), [(name, 3) for name in METHODS] + [("ot_map", 1)])
def test_unit_rows_that_lose_the_classes_are_said_and_rows_as_they_are_keep_them(name: str, columns: int) -> None:
    (X_s, y_s), (X_t, y_t) = draw(100, 5, columns), draw(80, 5.5, columns)
    cls = ALGORITHMS.get(name)
    more = {} if name == "ot_map" else {"classifier": "logistic"}
    with pytest.warns(UserWarning, match=f"{name} scales rows to unit length.*set unit_rows = False"):
        AdaptationClassifier(cls(**more), device="cpu").fit(X_s, y_s, X_t)
    model = AdaptationClassifier(cls(unit_rows=False, **more), device="cpu").fit(X_s, y_s, X_t)
    assert model.score(X_t, y_t) > 0.9


@pytest.mark.parametrize("name", METHODS[1:])
@pytest.mark.parametrize("columns", [1, 4])
def test_one_column_and_one_component_keep_their_length(name: str, columns: int) -> None:
    """A unit row of one column is +1 or -1."""
    rng, y = np.random.default_rng(0), np.arange(60) % 3
    X_s, X_t = ((4 * y[:, None] + shift + 0.3 * rng.normal(size=(60, columns))) for shift in (0.0, 0.5))
    words = "can only scale one column" if columns == 1 else "scales rows to unit length, and their lengths tell"
    with pytest.warns(UserWarning, match=f"{name} {words}"):
        model = AdaptationClassifier(ALGORITHMS.get(name)(components=1), device="cpu").fit(X_s, y, X_t)
    assert model.fitted_.outputs(model._domain("X", X_t.astype(np.float32), None)).z.std() > 1e-3
    if columns == 1:
        assert model.score(X_t, y) > 0.9


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("name", METHODS[1:])
def test_classes_that_one_column_tells_apart_are_told_apart_whatever_its_unit(name: str, unit: float) -> None:
    rng, y = np.random.default_rng(0), np.arange(30) % 3
    X_s, X_t = (unit * (y + shift + 0.1 * rng.normal(size=30))[:, None] for shift in (0.0, 0.3))
    with pytest.warns(UserWarning, match="can only scale one column"):
        model = AdaptationClassifier(ALGORITHMS.get(name)(), device="cpu").fit(X_s, y, X_t)
    assert model.score(X_t, y) == 1


@pytest.mark.parametrize("name", METHODS[1:])
def test_one_column_that_each_domain_standardises_is_told_apart(name: str) -> None:
    rng, y = np.random.default_rng(0), np.arange(30) % 3
    X_s, X_t = ((y + shift + 0.1 * rng.normal(size=30))[:, None] for shift in (0.0, 0.3))
    model = AdaptationClassifier(ALGORITHMS.get(name)(), standardise=True, device="cpu").fit(X_s, y, X_t)
    assert model.score(X_t, y) == 1
