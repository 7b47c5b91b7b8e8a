"""JAN: Joint maximum mean discrepancy over features and class probabilities."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dalib.nn.joint_discrepancy import joint_mmd2
from tests.support.algorithms import attached, batch, check_refusal
from tests.support.shifts import (
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    translated,
)


@pytest.mark.parametrize("hparams", [{}, {"estimator": "biased"}])
def test_a_method_beats_source_only_on_its_shift(hparams: dict[str, Any]) -> None:
    check_it_beats_source_only_on_its_shift("JAN", translated, hparams)


@pytest.mark.parametrize("hparams", [{}, {"estimator": "biased"}])
def test_a_method_does_no_harm_without_a_shift(hparams: dict[str, Any]) -> None:
    check_it_does_no_harm_without_a_shift("JAN", hparams)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"sigma": 0.0}, "jan.sigma = 0.0 is out of range; give a number > 0"),
        ({"estimator": "linear"}, "no jan.estimator named 'linear'"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("JAN", hparams, message)


def test_the_adaptation_term_is_weight_times_the_function() -> None:
    source, target = batch()
    layers = [[rows.z, rows.logits.softmax(1)] for rows in (source, target)]
    term = attached("JAN", weight=2.0, sigma=0.5, estimator="biased").loss(source, target, 0.5)["discrepancy"]
    torch.testing.assert_close(term, 2 * joint_mmd2(*layers, [None, [0.25]], "biased"))
