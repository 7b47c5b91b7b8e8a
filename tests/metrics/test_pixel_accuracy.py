from __future__ import annotations

import numpy as np
import pytest

from dalib.metrics.pixel_accuracy import PixelAccuracy


def test_it_is_the_share_of_labelled_pixels_that_are_right():
    rng = np.random.default_rng(1)
    y, answer = rng.integers(0, 3, (2, 5, 4)), rng.integers(0, 3, (2, 5, 4))
    y[0, 0] = 255
    pairs = [(a, b) for a, b in zip(y.ravel(), answer.ravel(), strict=True) if a != 255]
    assert PixelAccuracy().score(y, answer, answer, 3) == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
