"""EntropyMinimisation: predict the target with certainty, all classes about equally often."""

from __future__ import annotations

import torch

from dalib.nn.entropy import information_maximisation
from tests.support.algorithms import attached, batch
from tests.support.shifts import (
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    translated,
)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("EntropyMinimisation", translated, {})


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("EntropyMinimisation", {})


def test_the_adaptation_term_is_weight_times_the_function() -> None:
    source, target = batch()
    term = attached("EntropyMinimisation", weight=2.0, diversity=0.5).loss(source, target, 0.5)["information"]
    torch.testing.assert_close(term, 2 * information_maximisation(target.logits, 0.5))
