"""DSAN: Deep subdomain adaptation: a local maximum mean discrepancy."""

from __future__ import annotations

import math

import torch

from dalib.nn.joint_discrepancy import local_mmd2
from tests.support.algorithms import attached, batch
from tests.support.shifts import (
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    translated,
)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("DSAN", translated, {})


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("DSAN", {})


def test_the_adaptation_term_is_weight_times_the_function() -> None:
    source, target = batch()
    distance = local_mmd2(source.z, target.z, source.y, target.logits.softmax(1))
    term = attached("DSAN", weight=2.0).loss(source, target, 0.5)["discrepancy"]
    torch.testing.assert_close(term, 2 * math.tanh(2.5) * distance)
