"""MCC: Minimum class confusion; no domain alignment at all."""

from __future__ import annotations

import pytest
import torch

from dalib.nn.entropy import class_confusion
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
    translated,
)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("MCC", translated, {})


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("MCC", {})


def test_every_deep_loss_starts_with_the_source_cross_entropy() -> None:
    check_every_deep_loss_starts_with_the_source_cross_entropy("MCC")


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_features_and_predictions_have_finite_gradients(value: float) -> None:
    check_constant_features_and_predictions_have_finite_gradients("MCC", value)


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("MCC", {"temperature": 0.0}, "mcc.temperature = 0.0 is out of range; give a number > 0")


def test_the_adaptation_term_is_weight_times_the_function() -> None:
    source, target = batch()
    term = attached("MCC", weight=2.0, temperature=1.5).loss(source, target, 0.5)["confusion"]
    torch.testing.assert_close(term, 2 * class_confusion(target.logits, 1.5))
