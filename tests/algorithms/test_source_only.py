"""SourceOnly: Cross-entropy on the source; the target is not used."""

from __future__ import annotations

import pytest

from tests.support.algorithms import (
    check_constant_features_and_predictions_have_finite_gradients,
    check_every_deep_loss_starts_with_the_source_cross_entropy,
)
from tests.support.shifts import check_it_does_no_harm_without_a_shift


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("SourceOnly", {})


def test_every_deep_loss_starts_with_the_source_cross_entropy() -> None:
    check_every_deep_loss_starts_with_the_source_cross_entropy("SourceOnly")


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_features_and_predictions_have_finite_gradients(value: float) -> None:
    check_constant_features_and_predictions_have_finite_gradients("SourceOnly", value)
