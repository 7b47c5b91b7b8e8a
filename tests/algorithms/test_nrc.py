"""NRC: Neighbourhood reciprocity clustering."""

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
    check_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda("NRC")


def test_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda() -> None:
    check_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda("NRC")


def test_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one("NRC", tmp_path)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("NRC", turned, 0.1)


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("NRC")


def test_the_terms_are_those_of_the_paper() -> None:
    source, target = batch(dtype=torch.float64)
    index = torch.tensor([1, 4, 5, 9, 12, 13, 18])
    target = Target(target.x, index, target.z, target.logits)
    algorithm = remembering("NRC", 20, neighbours=3, expanded=2, affinity=0.2)
    bank, q = array(algorithm.memory_z), array(algorithm.memory_p)
    terms = algorithm.adapt(source, target, 0.5)
    z, p = array(target.z), softmax(array(target.logits), axis=1)
    bank[index], q[index] = z / np.linalg.norm(z, axis=1, keepdims=True), p
    np.testing.assert_allclose(array(algorithm.memory_z), bank, atol=1e-12)
    np.testing.assert_allclose(array(algorithm.memory_p), q, atol=1e-12)

    def nearest(row: int, count: int) -> list[int]:
        return [j for j in np.argsort(-(bank @ bank[row])) if j != row][:count]

    near = further = 0.0
    for i, own in enumerate(index.tolist()):
        for k in nearest(own, 3):
            second = nearest(k, 2)
            near += (1.0 if own in second else 0.2) * q[k] @ p[i] / 7
            further += sum(q[m] @ p[i] for m in second) / 7
    mean = p.mean(0)
    assert terms["neighbours"].item() == pytest.approx(-near, abs=1e-10)
    assert terms["expanded"].item() == pytest.approx(-0.2 * further, abs=1e-10)
    assert terms["diversity"].item() == pytest.approx(float((mean * np.log(mean)).sum()), abs=1e-10)


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("NRC", {"neighbours": 0}, "nrc.neighbours = 0")
    check_refusal("NRC", {"affinity": 1.5}, "nrc.affinity = 1.5")
