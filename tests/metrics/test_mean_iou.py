"""Mean IoU by hand, by a loop over pixels, and by scikit-learn's Jaccard score."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

from dalib.metrics._confusion import confusion, overlap
from dalib.metrics.mean_iou import MeanIoU
from dalib.metrics.pixel_accuracy import PixelAccuracy


def test_a_picture_of_four_pixels_by_hand():
    y = np.array([[[0, 0], [1, 255]]])
    answer = np.array([[[0, 1], [1, 1]]])
    # class 0: 1 hit, union 2; class 1: 1 hit, union 2; the pixel without a label counts nothing
    assert MeanIoU().score(y, answer, answer, 2) == pytest.approx(0.5)
    assert PixelAccuracy().score(y, answer, answer, 2) == pytest.approx(2 / 3)


def test_a_class_that_is_nowhere_is_left_out_and_one_that_is_only_answered_counts_zero():
    y, answer = np.zeros((1, 2, 2), int), np.array([[[0, 0], [0, 2]]])
    assert MeanIoU().score(y, answer, answer, 4) == pytest.approx((3 / 4 + 0) / 2)


def test_pictures_count_together_not_one_by_one():
    y = np.array([[[1, 1]], [[0, 0]]])
    answer = np.array([[[1, 1]], [[0, 1]]])
    assert MeanIoU().score(y, answer, answer, 2) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_it_is_what_a_loop_over_pixels_and_scikit_learn_say():
    rng = np.random.default_rng(0)
    y, answer = rng.integers(0, 5, (3, 7, 6)).astype(np.uint8), rng.integers(0, 5, (3, 7, 6)).astype(np.int64)
    y[rng.random(y.shape) < 0.2] = 255
    both, either = np.zeros(5), np.zeros(5)
    for truth, said in zip(y.ravel().tolist(), answer.ravel().tolist(), strict=True):
        if truth == 255:
            continue
        for c in range(5):
            both[c] += truth == c and said == c
            either[c] += truth == c or said == c
    told = y != 255
    expected = jaccard_score(y[told], answer[told], average=None, labels=range(5))
    np.testing.assert_allclose(overlap(confusion(y, answer, 5)), both / either, rtol=1e-12)
    assert MeanIoU().score(y, answer, answer, 5) == pytest.approx(expected.mean(), rel=1e-12)


def test_without_any_label_there_is_no_score():
    y = np.full((2, 3, 3), 255)
    assert math.isnan(MeanIoU().score(y, y * 0, y * 0, 3))
    assert math.isnan(PixelAccuracy().score(y, y * 0, y * 0, 3))
