"""MDD: Margin disparity discrepancy with an adversarial head h' behind a gradient reversal."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dalib.nn.adversarial import margin_disparity
from tests.support.algorithms import attached, batch, check_features_meet_the_adversary_by_degrees, check_refusal
from tests.support.shifts import (
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    translated,
)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("MDD", translated, {"hidden": 64, "reversal": 0.3})


@pytest.mark.parametrize("hparams", [{"hidden": 64, "reversal": 0.3}, {"hidden": 64}])
def test_a_method_does_no_harm_without_a_shift(hparams: dict[str, Any]) -> None:
    check_it_does_no_harm_without_a_shift("MDD", hparams)


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("MDD", {"reversal": -1.0}, "mdd.reversal = -1.0")


def test_mdd_reverses_the_disparity_for_features_by_a_tenth_and_not_for_its_head() -> None:
    source, target = batch()
    algorithm = attached("MDD", hidden=16)
    term = algorithm.loss(source, target, 1.0)["disparity"]
    (reversed_,) = torch.autograd.grad(term, target.z, retain_graph=True)
    a_s, a_t = algorithm.adversary(source.z), algorithm.adversary(target.z)  # type: ignore[operator]
    plain = margin_disparity(source.logits, target.logits, a_s, a_t, 4.0)
    torch.testing.assert_close(term, plain)
    (gradient,) = torch.autograd.grad(plain, target.z, retain_graph=True)
    torch.testing.assert_close(reversed_, -0.1 * gradient, rtol=1e-3, atol=1e-7)
    head = next(algorithm.adversary.parameters())  # type: ignore[union-attr]
    torch.testing.assert_close(torch.autograd.grad(term, head), torch.autograd.grad(plain, head))


def test_features_meet_the_adversary_by_degrees() -> None:
    check_features_meet_the_adversary_by_degrees("MDD", "disparity", hidden=8)
