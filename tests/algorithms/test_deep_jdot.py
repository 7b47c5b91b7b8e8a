"""DeepJDOT: Joint distribution optimal transport, solved exactly in every batch."""

from __future__ import annotations

from dataclasses import replace

import ot
import pytest
import torch
from torch.nn.functional import cross_entropy

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
    check_it_beats_source_only_on_its_shift("DeepJDOT", translated, {"alpha": 0.03, "lam": 0.3})


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("DeepJDOT", {})


def test_every_deep_loss_starts_with_the_source_cross_entropy() -> None:
    check_every_deep_loss_starts_with_the_source_cross_entropy("DeepJDOT")


def test_deep_jdot_term_is_the_exact_transport_cost_between_joint_distributions() -> None:
    source, target = batch()
    term = attached("DeepJDOT", alpha=0.3, lam=0.7).loss(source, target, 0.5)["transport"]
    cost = torch.empty(9, 7, dtype=torch.float64)
    for i in range(9):
        for j in range(7):
            label = cross_entropy(target.logits[j : j + 1], source.y[i : i + 1])
            cost[i, j] = 0.3 * (source.z[i] - target.z[j]).square().sum() + 0.7 * label
    assert term.item() == pytest.approx(float(ot.emd2(ot.unif(9), ot.unif(7), cost.detach().numpy())), abs=1e-5)


def test_deep_jdot_reports_features_that_are_not_numbers() -> None:
    source, target = batch()
    broken = replace(source, z=source.z * float("nan"))
    assert attached("DeepJDOT").loss(broken, target, 0.5)["transport"].isnan()


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_features_and_predictions_have_finite_gradients(value: float) -> None:
    check_constant_features_and_predictions_have_finite_gradients("DeepJDOT", value)


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("DeepJDOT", {"alpha": -0.1}, "deep_jdot.alpha = -0.1")
