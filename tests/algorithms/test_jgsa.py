"""JGSA: Joint geometrical and statistical alignment, on the features themselves (the paper's primal form)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dalib.nn.coupled_projections import couple_projections
from tests.support.algorithms import check_refusal
from tests.support.planes import (
    check_a_row_is_predicted_alike_alone_and_in_company,
    check_few_rows_are_answered_alike_in_any_order,
    check_it_beats_its_first_labels_on_the_shift_it_is_built_for,
    check_predictions_do_not_depend_on_the_order_of_rows_or_on_the_coordinate_system,
    check_small_surf_tasks_reach_the_published_accuracy_to_its_last_figure,
    check_surf_average_is_the_published_one,
    fit,
    moved,
    rotated,
    score,
    turned,
)


@pytest.mark.parametrize("data", [rotated, turned, moved])
def test_it_beats_its_first_labels_on_the_shift_it_is_built_for(data: Any) -> None:
    check_it_beats_its_first_labels_on_the_shift_it_is_built_for("JGSA", data, {"components": 2})


def test_two_projections_serve_domains_that_lie_along_different_axes() -> None:
    assert score("JGSA", turned(), components=2) > score("JDA", turned(), components=2) + 0.3


def test_predictions_do_not_depend_on_the_order_of_rows_or_on_the_coordinate_system() -> None:
    check_predictions_do_not_depend_on_the_order_of_rows_or_on_the_coordinate_system("JGSA")


def test_a_row_is_predicted_alike_alone_and_in_company() -> None:
    check_a_row_is_predicted_alike_alone_and_in_company("JGSA")


def test_the_distance_of_all_rows_means_has_norm_one_whatever_the_classes_weigh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contrasts: list[torch.Tensor] = []

    def watched(z_s: Any, y_s: Any, z_t: Any, E: torch.Tensor, *rest: Any) -> Any:
        contrasts.append(E)
        return couple_projections(z_s, y_s, z_t, E, *rest)

    monkeypatch.setattr("dalib.algorithms.jgsa.couple_projections", watched)
    x_s, y_s, x_t, y_t = rotated()
    few = (y_s != 1) | (np.arange(len(y_s)) % 12 == 1)
    fit("JGSA", (x_s[few], y_s[few], x_t, y_t), components=2)
    assert contrasts
    for E in contrasts:
        assert E.shape[1] > 1 and float(E[:, 0].norm()) == pytest.approx(1)
        assert abs(float(E[:, 1].norm()) - 1) > 1e-3


def test_a_large_divergence_weight_gives_both_domains_one_projection() -> None:
    def divergence(weight: float) -> float:
        model = fit("JGSA", rotated(), components=2, weight=weight)
        x_s = torch.as_tensor(rotated()[0], dtype=torch.float32).double()
        rows = model.fitted_.algorithm.classifier_rows
        return float((model.fitted_.algorithm.project(x_s) - rows).norm() / rows.norm())

    assert divergence(1e6) < 1e-3 < 0.1 < divergence(1.0)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"components": 0.0}, "jgsa.components"),
        ({"weight": 0.0}, "jgsa.weight"),
        ({"mu": 0.0}, "jgsa.mu"),
        ({"beta": 0.0}, "jgsa.beta"),
        ({"iterations": 0.0}, "jgsa.iterations"),
        ({"C": 0.0}, "jgsa.C"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: dict[str, Any], message: str) -> None:
    check_refusal("JGSA", hparams, message)


@pytest.mark.parametrize("task", ["dslr->webcam", "webcam->dslr"])
def test_small_surf_tasks_reach_the_published_accuracy_to_its_last_figure(shared_data: Path, task: str) -> None:
    check_small_surf_tasks_reach_the_published_accuracy_to_its_last_figure(shared_data, "JGSA", task)


def test_few_rows_are_answered_alike_in_any_order() -> None:
    check_few_rows_are_answered_alike_in_any_order("JGSA", 9, 8)


@pytest.mark.slow
def test_surf_average_is_the_published_one(shared_data: Path) -> None:
    check_surf_average_is_the_published_one(shared_data, "JGSA", 50.04, 0.005)
