"""DDC: Deep domain confusion: the maximum mean discrepancy with a linear kernel."""

from __future__ import annotations

import torch

from tests.support.algorithms import attached, batch
from tests.support.shifts import (
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    translated,
)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("DDC", translated, {})


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("DDC", {})


def test_the_adaptation_term_is_weight_times_the_function() -> None:
    source, target = batch()
    term = attached("DDC", weight=2.0).loss(source, target, 0.5)["discrepancy"]
    torch.testing.assert_close(term, 2 * (source.z.mean(0) - target.z.mean(0)).square().sum())
