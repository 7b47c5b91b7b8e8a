"""PCAMap: Principal components of source and target rows together; nothing is aligned."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.anchors import check_surf_average_is_near_the_published_one
from tests.support.planes import (
    check_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for,
    check_few_rows_are_answered_alike_in_any_order,
    check_predictions_do_not_depend_on_the_coordinate_system,
    check_rows_keep_their_place_when_the_training_rows_are_permuted,
    noisy,
)


def test_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for() -> None:
    check_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for("PCAMap", noisy, {"components": 2})


def test_rows_keep_their_place_when_the_training_rows_are_permuted() -> None:
    check_rows_keep_their_place_when_the_training_rows_are_permuted("PCAMap")


def test_predictions_do_not_depend_on_the_coordinate_system() -> None:
    check_predictions_do_not_depend_on_the_coordinate_system("PCAMap")


def test_few_rows_are_answered_alike_in_any_order() -> None:
    check_few_rows_are_answered_alike_in_any_order("PCAMap", 9, 8)


@pytest.mark.slow
def test_surf_average_is_near_the_published_one(shared_data: Path) -> None:
    check_surf_average_is_near_the_published_one(shared_data, "PCAMap", 43.6, 1.0, components=20)
