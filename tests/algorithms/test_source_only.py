"""SourceOnly: Cross-entropy on the source; the target is not used."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from tests.support.algorithms import (
    attached,
    batch,
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


def test_the_loss_is_the_mean_cross_entropy_of_the_source_and_moves_nothing_by_the_target() -> None:
    source, target = batch()
    (loss,) = attached("SourceOnly").loss(source, target, 0.5).values()
    log_p = log_softmax(source.logits.detach().numpy(), axis=1)
    expected = -np.mean([row[k] for row, k in zip(log_p, source.y.tolist(), strict=True)])
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    assert torch.autograd.grad(loss, [target.z, target.logits], allow_unused=True) == (None, None)
