"""BDA: Balanced distribution adaptation: JDA with a balance between the marginal and the conditional distance."""

from __future__ import annotations

import numpy as np
import pytest

import dalib
from tests.support.planes import (
    check_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for,
    check_predictions_do_not_depend_on_the_coordinate_system,
    check_rows_keep_their_place_when_the_training_rows_are_permuted,
    check_without_class_means_the_solution_is_tcas,
    fit,
    rotated,
)


def test_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for() -> None:
    check_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for(
        "BDA", rotated, {"components": 2, "mu": 0.7}
    )


def test_rows_keep_their_place_when_the_training_rows_are_permuted() -> None:
    check_rows_keep_their_place_when_the_training_rows_are_permuted("BDA")


def test_predictions_do_not_depend_on_the_coordinate_system() -> None:
    check_predictions_do_not_depend_on_the_coordinate_system("BDA")


def test_without_class_means_the_solution_is_tcas() -> None:
    check_without_class_means_the_solution_is_tcas("BDA", {"mu": 0.0})


def test_half_a_balance_is_jda() -> None:
    x_t = rotated()[2]
    got, expected = fit("BDA", rotated(), mu=0.5), fit("JDA", rotated())
    np.testing.assert_allclose(got.decision_function(x_t), expected.decision_function(x_t), atol=1e-6)


def test_a_balance_above_one_is_refused() -> None:
    with pytest.raises(dalib.DalibError, match=r"bda.mu = 1.5 is out of range; give a number in \[0, 1\]"):
        fit("BDA", rotated(), mu=1.5)
