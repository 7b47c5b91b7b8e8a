"""DeepCORAL: Correlation alignment as a loss."""

from __future__ import annotations

import pytest
import torch

from dalib.nn.discrepancy import coral_distance
from tests.support.algorithms import (
    attached,
    batch,
    check_constant_features_and_predictions_have_finite_gradients,
    check_every_deep_loss_starts_with_the_source_cross_entropy,
    check_refusal,
)
from tests.support.shifts import (
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    stretched,
)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("DeepCORAL", stretched, {"weight": 10.0})


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("DeepCORAL", {})


def test_every_deep_loss_starts_with_the_source_cross_entropy() -> None:
    check_every_deep_loss_starts_with_the_source_cross_entropy("DeepCORAL")


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_features_and_predictions_have_finite_gradients(value: float) -> None:
    check_constant_features_and_predictions_have_finite_gradients("DeepCORAL", value)


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("DeepCORAL", {"weight": float("inf")}, "deep_coral.weight = inf")


def test_the_adaptation_term_is_weight_times_the_function() -> None:
    source, target = batch()
    term = attached("DeepCORAL", weight=3.0).loss(source, target, 0.5)["correlation"]
    torch.testing.assert_close(term, 3 * coral_distance(source.z, target.z))
