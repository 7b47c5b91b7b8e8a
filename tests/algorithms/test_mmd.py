"""MMD: Maximum mean discrepancy with five Gaussian kernels (the deep adaptation network's loss at one layer)."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dalib.nn.discrepancy import mmd2
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


@pytest.mark.parametrize("hparams", [{}, {"estimator": "biased"}, {"estimator": "linear"}])
def test_a_method_beats_source_only_on_its_shift(hparams: dict[str, Any]) -> None:
    check_it_beats_source_only_on_its_shift("MMD", translated, hparams)


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("MMD", {})


def test_every_deep_loss_starts_with_the_source_cross_entropy() -> None:
    check_every_deep_loss_starts_with_the_source_cross_entropy("MMD")


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_features_and_predictions_have_finite_gradients(value: float) -> None:
    check_constant_features_and_predictions_have_finite_gradients("MMD", value)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"estimator": "biassed"}, "no mmd.estimator named 'biassed'; did you mean 'biased'"),
        ({"weight": "1"}, "mmd.weight = '1'"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("MMD", hparams, message)


@pytest.mark.parametrize(("hparams", "estimator"), [({"weight": 2.0}, "unbiased"), ({"estimator": "linear"}, "linear")])
def test_the_adaptation_term_is_weight_times_the_function(hparams: dict[str, Any], estimator: str) -> None:
    source, target = batch()
    term = attached("MMD", **hparams).loss(source, target, 0.5)["discrepancy"]
    torch.testing.assert_close(term, hparams.get("weight", 1.0) * mmd2(source.z, target.z, estimator=estimator))
