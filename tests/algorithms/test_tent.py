"""TENT: Test-time entropy minimisation: phase one on the source, phase two on the unlabelled target only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy as scipy_entropy

from dalib.core.errors import DalibError
from tests.support.algorithms import attached, batch, check_refusal
from tests.support.phases import (
    check_a_network_without_batch_norm_is_refused_in_one_line,
    check_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one,
    check_adapting_candidates_does_not_change_what_training_does,
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    check_only_the_parts_that_may_move_in_phase_two,
    check_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda,
    check_predictions_use_the_statistics_of_the_whole_target,
    check_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda,
    make_task,
    norm_first,
    train,
    turned,
)
from tests.support.shifts import translated


def test_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda() -> None:
    check_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda("TENT")


def test_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda() -> None:
    check_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda("TENT")


def test_only_the_parts_that_may_move_in_phase_two() -> None:
    check_only_the_parts_that_may_move_in_phase_two("TENT", ("backbone.", "bottleneck.1."))


def test_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one("TENT", tmp_path)


@pytest.mark.parametrize("changes", [{}, {"batch_norm": "eval"}, {"backbone_rate": 0.0}])
def test_adapting_candidates_does_not_change_what_training_does(changes: dict[str, Any]) -> None:
    check_adapting_candidates_does_not_change_what_training_does("TENT", changes)


def test_predictions_use_the_statistics_of_the_whole_target() -> None:
    check_predictions_use_the_statistics_of_the_whole_target("TENT")


def test_a_network_without_batch_norm_is_refused_in_one_line() -> None:
    check_a_network_without_batch_norm_is_refused_in_one_line("TENT")


def test_tent_with_frozen_batch_norms_is_refused_before_it_trains() -> None:
    with pytest.raises(DalibError, match="none may learn; set bottleneck or backbone_rate > 0"):
        train("TENT", make_task(translated()), norm_first(), bottleneck=0, backbone_rate=0.0)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("TENT", turned, 0.1)


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("TENT")


def test_tent_is_the_mean_entropy() -> None:
    source, target = batch(dtype=torch.float64)
    expected = np.mean([scipy_entropy(row) for row in softmax(target.logits.detach().numpy(), axis=1)])
    term = attached("TENT", dtype=torch.float64).loss(source, target, 0.5)["entropy"]
    assert term.item() == pytest.approx(expected, abs=1e-8)


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("TENT", {"rate": 0.0}, "tent.rate = 0.0")
