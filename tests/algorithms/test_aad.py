"""AaD: Attracting and dispersing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from dalib.core.types import Target
from tests.support.algorithms import array, batch, check_refusal
from tests.support.phases import (
    check_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one,
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    check_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda,
    check_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda,
    remembering,
    turned,
)


def test_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda() -> None:
    check_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda("AaD")


def test_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda() -> None:
    check_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda("AaD")


def test_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one("AaD", tmp_path)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("AaD", turned, 0.1)


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("AaD")


def test_the_terms_are_those_of_the_paper() -> None:
    source, target = batch(dtype=torch.float64)
    index = torch.tensor([0, 4, 5, 9, 12, 13, 18])
    target = Target(target.x, index, target.z, target.logits)
    algorithm = remembering("AaD", 20, neighbours=4, decay=2.0)
    bank, q = array(algorithm.memory_z), array(algorithm.memory_p)
    terms = algorithm.adapt(source, target, 0.3)
    z, p = array(target.z), softmax(array(target.logits), axis=1)
    bank[index], q[index] = z / np.linalg.norm(z, axis=1, keepdims=True), p
    attract = disperse = 0.0
    for i, own in enumerate(index.tolist()):
        near = [j for j in np.argsort(-(bank @ bank[own])) if j != own][:4]
        attract += sum(p[i] @ q[j] for j in near) / 7
        disperse += sum(p[i] @ p[m] for m in range(7) if m != i) / 7
    assert terms["attract"].item() == pytest.approx(-attract, abs=1e-10)
    assert terms["disperse"].item() == pytest.approx(disperse / (1 + 10 * 0.3) ** 2, abs=1e-10)


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("AaD", {"decay": -1.0}, "aad.decay = -1.0")
    check_refusal("AaD", {"rate": 0.0}, "aad.rate = 0.0")
