"""TCA: Transfer component analysis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dalib
from tests.support.anchors import check_surf_average_is_near_the_published_one
from tests.support.peak import told_over_used
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


@pytest.mark.parametrize("columns", [2, 3])
def test_rows_far_from_the_origin_are_said_to_lose_what_unit_length_takes(columns: int) -> None:
    chance = np.random.default_rng(0)
    X, y = chance.normal(size=(40, columns)) + 100, np.arange(40) % 2
    with pytest.warns(UserWarning, match="tca scales rows to unit length, and their directions hardly differ"):
        dalib.AdaptationClassifier(dalib.TCA(), device="cpu").fit(X, y, X)


@pytest.mark.parametrize(
    ("kernel", "n", "d"), [("rbf", 300, 10), ("linear", 300, 601), ("linear", 300, 10), ("primal", 300, 10)]
)
def test_the_memory_that_is_told_is_what_the_solution_takes(kernel: str, n: int, d: int) -> None:
    told = told_over_used(dalib.TCA(kernel=kernel), n, d)
    assert 0.8 < told < 1.7 if kernel == "rbf" or d > n else told == 0, "features' products take no pairs of rows"


@pytest.mark.slow
def test_surf_average_is_near_the_published_one(shared_data: Path) -> None:
    check_surf_average_is_near_the_published_one(shared_data, "TCA", 46.2, 0.5)
