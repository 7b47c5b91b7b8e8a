"""Average precision of boxes, on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dalib.metrics._coco import evaluate_boxes

pytest.importorskip("pycocotools", reason="boxes are measured by pycocotools, which is not installed")
NOBODY = [-1, 0, 0, 0, 0]


def truth(*pictures):
    most = max(map(len, pictures))
    return np.array([[*boxes, *[NOBODY] * (most - len(boxes))] for boxes in pictures], np.float32)


def told(*pictures):
    most = max([1, *map(len, pictures)])
    return np.array([[*boxes, *[[-1, 0, 0, 0, 0, 0]] * (most - len(boxes))] for boxes in pictures], np.float32)


def test_right_boxes_score_one_and_none_zero(metric):
    y = truth([[0, 0, 0, 10, 10], [1, 5, 5, 20, 20]], [[0, 3, 3, 9, 9]])
    right = told([[0, 0.9, 0, 0, 10, 10], [1, 0.8, 5, 5, 20, 20]], [[0, 0.7, 3, 3, 9, 9]])
    assert metric.score(y, right, right, 2) == pytest.approx(1)
    assert metric.score(y, told([], []), told([], []), 2) == 0


def test_an_overlap_of_nine_thirteenths_counts_for_four_of_ten_overlaps(metric):
    """10 x 9 within 10 x 13: 90 of 130 = .692, which is enough for .50, .55, .60 and .65."""
    y, found = truth([[0, 0, 0, 10, 13]]), told([[0, 0.5, 0, 0, 10, 9]])
    assert metric.score(y, found, found, 1) == pytest.approx(0.4)


def test_a_surer_wrong_box_halves_the_precision(metric):
    y = truth([[0, 0, 0, 10, 10]])
    found = told([[0, 0.9, 40, 40, 50, 50], [0, 0.5, 0, 0, 10, 10]])
    assert metric.score(y, found, found, 1) == pytest.approx(0.5)


def test_half_of_the_boxes_found_is_51_of_101_recalls(metric):
    y = truth([[0, 0, 0, 10, 10], [0, 30, 30, 40, 40]])
    found = told([[0, 0.9, 0, 0, 10, 10]])
    assert metric.score(y, found, found, 1) == pytest.approx(51 / 101)


def test_a_class_that_does_not_occur_counts_nothing_and_the_others_alike(metric):
    y = truth([[0, 0, 0, 10, 10], [2, 30, 30, 40, 40]])
    found = told([[0, 0.9, 0, 0, 10, 10], [1, 0.9, 0, 0, 5, 5]])
    assert metric.score(y, found, found, 3) == pytest.approx(0.5)


def test_it_is_the_same_where_the_number_of_classes_is_not_told(metric):
    y = truth([[0, 0, 0, 10, 10], [2, 30, 30, 40, 40]])
    found = told([[0, 0.9, 0, 0, 10, 10], [2, 0.9, 30, 30, 40, 48]])
    assert metric.score(y, found, found, 0) == metric.score(y, found, found, 3) > 0.5


def test_a_box_is_small_medium_or_large_by_its_area():
    """COCO's bounds are 32² and 96²: 40 x 30 is medium, and 8 x 100 small."""
    y = truth([[0, 0, 0, 40, 30], [1, 50, 0, 58, 100]])
    found = told([[0, 0.9, 0, 0, 40, 30], [1, 0.9, 50, 0, 58, 100]])
    by_area = evaluate_boxes(y, found, 2)[0, 0, :, 1:, -1]
    np.testing.assert_allclose(by_area, [[-1, 1, -1], [1, -1, -1]])


def test_boxes_of_every_size_count(metric):
    """One box each of COCO's small, medium and large, of which the large one is not found: 2 / 3 of the recalls."""
    y = truth([[0, 0, 0, 20, 20], [0, 30, 0, 80, 50], [0, 100, 0, 220, 120]])
    found = told([[0, 0.9, 0, 0, 20, 20], [0, 0.8, 30, 0, 80, 50]])
    assert metric.score(y, found, found, 1) == pytest.approx(67 / 101)


def test_nothing_is_printed(metric, capsys):
    y = truth([[0, 0, 0, 10, 10]])
    metric.score(y, told([]), told([]), 1)
    assert capsys.readouterr().out == ""
