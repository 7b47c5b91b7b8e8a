"""DANN: Domain-adversarial training through a gradient-reversal layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

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
    check_it_beats_source_only_on_its_shift("DANN", translated, {"hidden": 64})


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("DANN", {"hidden": 64})


def test_every_deep_loss_starts_with_the_source_cross_entropy() -> None:
    check_every_deep_loss_starts_with_the_source_cross_entropy("DANN")


def test_dann_term_is_the_balanced_binary_cross_entropy() -> None:
    source, target = batch()
    algorithm = attached("DANN", weight=0.5, hidden=16, dropout=0.0)
    d = algorithm.discriminator(torch.cat([source.z, target.z])).sigmoid()  # type: ignore[operator]
    reference = -(d[:9].log().mean() + (1 - d[9:]).log().mean()) / 4
    torch.testing.assert_close(algorithm.loss(source, target, 0.5)["adversarial"], reference)


def test_dann_pushes_features_against_the_discriminator_and_not_at_the_start() -> None:
    source, target = batch()
    algorithm = attached("DANN", hidden=16, dropout=0.0)
    z = source.z.clone().requires_grad_()
    gradients = []
    for progress in (0.0, 1.0):
        term = algorithm.loss(replace(source, z=z), target, progress)["adversarial"]
        gradients.append(torch.autograd.grad(term, z)[0])
    d_s = algorithm.discriminator(torch.cat([z, target.z]))  # type: ignore[operator]
    bce = nn.functional.binary_cross_entropy_with_logits(d_s, (torch.arange(16) < 9).float(), weight=None)
    assert (gradients[0] == 0).all()
    assert (gradients[1] * torch.autograd.grad(bce, z)[0]).sum() < 0


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_features_and_predictions_have_finite_gradients(value: float) -> None:
    check_constant_features_and_predictions_have_finite_gradients("DANN", value)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"weight": -1.0}, "dann.weight = -1.0 is out of range; give a number >= 0"),
        ({"weight": float("nan")}, "dann.weight = nan"),
        ({"hidden": 0}, "dann.hidden = 0"),
        ({"hidden": 2.5}, "dann.hidden = 2.5"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("DANN", hparams, message)
