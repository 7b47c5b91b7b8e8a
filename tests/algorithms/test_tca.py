"""TCA: Transfer component analysis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.anchors import check_surf_average_is_near_the_published_one
from tests.support.planes import (
    check_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for,
    check_predictions_do_not_depend_on_the_coordinate_system,
    check_rows_keep_their_place_when_the_training_rows_are_permuted,
    moved,
)


@pytest.mark.parametrize("hparams", [{"components": 2}, {"kernel": "linear"}, {"kernel": "rbf"}])
def test_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for(hparams: dict[str, Any]) -> None:
    check_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for("TCA", moved, hparams)


def test_rows_keep_their_place_when_the_training_rows_are_permuted() -> None:
    check_rows_keep_their_place_when_the_training_rows_are_permuted("TCA")


def test_predictions_do_not_depend_on_the_coordinate_system() -> None:
    check_predictions_do_not_depend_on_the_coordinate_system("TCA")


@pytest.mark.slow
def test_surf_average_is_near_the_published_one(shared_data: Path) -> None:
    check_surf_average_is_near_the_published_one(shared_data, "TCA", 46.2, 0.5)
