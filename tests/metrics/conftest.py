"""Answers of every kind, drawn at random."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dalib.core.metric import Metric
from dalib.core.registry import METRICS

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray, int]
"""y, prediction, answer, known: what `Metric.score` takes."""


@pytest.fixture
def metric(request: pytest.FixtureRequest) -> Metric:
    """The metric that the test file is named after."""
    return METRICS.get(request.path.stem.removeprefix("test_"))()


@pytest.fixture
def classes() -> Drawn:
    """Seven known classes of uneven size, one of which does not occur, 200 rows."""
    rng = np.random.default_rng(0)
    y = rng.choice(6, 200, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05])
    prediction = 2 * np.eye(7)[y] + 1.5 * rng.standard_normal((200, 7))
    return y, prediction, prediction.argmax(1), 7


@pytest.fixture(params=["an output for unknown", "none"])
def opened(request: pytest.FixtureRequest) -> Drawn:
    """Three known classes and rows of no known class (y = 3); with and without an output for them."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 4, 200)
    prediction = 2 * np.eye(4)[y] + 1.5 * rng.standard_normal((200, 4))
    answer = prediction.argmax(1)
    return y, prediction if request.param != "none" else prediction[:, :3], answer, 3


@pytest.fixture
def several() -> Drawn:
    """Five yes/no answers for each of 100 rows, all annotated."""
    rng = np.random.default_rng(2)
    y = (rng.random((100, 5)) < [0.5, 0.4, 0.3, 0.2, 0.1]).astype(np.int64)
    prediction = 2.0 * (2 * y - 1) + 3 * rng.standard_normal((100, 5))
    return y, prediction, (prediction > 0).astype(np.int64), 0


@pytest.fixture
def numbers() -> Drawn:
    """Three numbers for each of 50 rows."""
    rng = np.random.default_rng(3)
    y = rng.standard_normal((50, 3)) * [1, 10, 100]
    prediction = y + rng.standard_normal((50, 3)) * [1, 5, 20]
    return y, prediction, prediction, 0


@pytest.fixture
def hide() -> Callable[[Drawn, float], Drawn]:
    """Some entries of y become -1, not annotated."""

    def hidden(given: Drawn, share: float) -> Drawn:
        y, *rest = given
        return (np.where(np.random.default_rng(4).random(y.shape) < share, -1, y), *rest)

    return hidden
