"""JDA: Joint distribution adaptation: TCA repeated with the distances of class means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.anchors import accuracy, check_surf_average_is_near_the_published_one, load
from tests.support.planes import (
    check_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for,
    check_few_rows_are_answered_alike_in_any_order,
    check_predictions_do_not_depend_on_the_coordinate_system,
    check_rows_keep_their_place_when_the_training_rows_are_permuted,
    check_without_class_means_the_solution_is_tcas,
    moved,
    rotated,
    score,
)


@pytest.mark.parametrize(
    ("data", "hparams"),
    [
        (moved, {}),
        (rotated, {"components": 2}),
    ],
)
def test_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for(data: Any, hparams: dict[str, Any]) -> None:
    check_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for("JDA", data, hparams)


def test_rows_keep_their_place_when_the_training_rows_are_permuted() -> None:
    check_rows_keep_their_place_when_the_training_rows_are_permuted("JDA")


def test_predictions_do_not_depend_on_the_coordinate_system() -> None:
    check_predictions_do_not_depend_on_the_coordinate_system("JDA")


def test_without_class_means_the_solution_is_tcas() -> None:
    check_without_class_means_the_solution_is_tcas("JDA", {"iterations": 1})


def test_class_means_help_where_the_classes_move_and_the_domains_do_not() -> None:
    assert score("JDA", rotated(), components=2) > score("TCA", rotated(), components=2) + 0.03


def test_few_rows_are_answered_alike_in_any_order() -> None:
    check_few_rows_are_answered_alike_in_any_order("JDA", 9, 8)


@pytest.mark.slow
def test_surf_average_is_near_the_published_one(shared_data: Path) -> None:
    check_surf_average_is_near_the_published_one(shared_data, "JDA", 46.8, 0.5)


def test_jda_reaches_its_published_accuracies_on_digits(shared_data: Path) -> None:
    """Long et al. (ICCV 2013), to the last figure: 100 components, reg 0.1, unit rows."""
    digits = load(shared_data / "jda_mnist_usps.npz", ["l2"])
    got = [
        accuracy("JDA", digits[s], digits[t], components=100, reg=0.1)
        for s, t in (("usps", "mnist"), ("mnist", "usps"))
    ]
    assert got == pytest.approx([59.65, 67.28], abs=0.005)
