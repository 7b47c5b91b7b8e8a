"""Average precision at an overlap of a half, on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pycocotools", reason="boxes are measured by pycocotools, which is not installed")


def one(*boxes):
    return np.array([boxes], np.float32)


@pytest.mark.parametrize(("bottom", "expected"), [(13, 1.0), (19, 0.0)])
def test_an_overlap_of_a_half_is_enough(metric, bottom, expected):
    """10 x 9 within 10 x 13 is .69, within 10 x 19 it is .47."""
    y, found = one([0, 0, 0, 10, bottom]), one([0, 0.5, 0, 0, 10, 9])
    assert metric.score(y, found, found, 1) == pytest.approx(expected)


def test_precision_falls_from_one_to_two_thirds_along_the_recalls(metric):
    """Right, wrong, right of two boxes: 1 up to recall .5 (51 of 101 points), then 2/3 (50 points)."""
    y = one([0, 0, 0, 10, 10], [0, 30, 30, 40, 40])
    found = one([0, 0.9, 0, 0, 10, 10], [0, 0.8, 60, 60, 70, 70], [0, 0.7, 30, 30, 40, 40])
    assert metric.score(y, found, found, 1) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_the_second_of_two_boxes_on_one_thing_is_wrong(metric):
    y = one([0, 0, 0, 10, 10], [0, 30, 30, 40, 40])
    found = one([0, 0.9, 0, 0, 10, 10], [0, 0.8, 0, 0, 10, 9], [0, 0.7, 30, 30, 40, 40])
    assert metric.score(y, found, found, 1) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_boxes_of_every_size_count(metric):
    y = one([0, 0, 0, 20, 20], [0, 30, 0, 80, 50], [0, 100, 0, 220, 120])
    found = one([0, 0.9, 0, 0, 20, 20], [0, 0.8, 30, 0, 80, 50])
    assert metric.score(y, found, found, 1) == pytest.approx(67 / 101)
