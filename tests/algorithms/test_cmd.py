"""CMD: Central moment discrepancy."""

from __future__ import annotations

import torch

from dalib.nn.moments import central_moments
from tests.support.algorithms import attached, batch, check_refusal
from tests.support.shifts import (
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    translated,
)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("CMD", translated, {})


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("CMD", {})


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("CMD", {"moments": 0}, "cmd.moments = 0")


def test_the_adaptation_term_is_weight_times_the_function() -> None:
    source, target = batch()
    term = attached("CMD", weight=2.0, moments=3).loss(source, target, 0.5)["discrepancy"]
    torch.testing.assert_close(term, 2 * central_moments(source.z.sigmoid(), target.z.sigmoid(), 3))
