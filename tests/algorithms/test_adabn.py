"""AdaBN: Adaptive batch normalisation: each unit is normalised by the domain that it is applied to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dalib.nn.metrics import accuracy
from tests.support.phases import (
    check_a_network_without_batch_norm_is_refused_in_one_line,
    check_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one,
    check_adapting_candidates_does_not_change_what_training_does,
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    check_predictions_use_the_statistics_of_the_whole_target,
    make_task,
    norm_first,
    scaled,
    source_only,
    train,
    turned,
)
from tests.support.shifts import Data, translated


def test_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one("AdaBN", tmp_path)


@pytest.mark.parametrize("changes", [{}, {"batch_norm": "eval"}, {"backbone_rate": 0.0}])
def test_adapting_candidates_does_not_change_what_training_does(changes: dict[str, Any]) -> None:
    check_adapting_candidates_does_not_change_what_training_does("AdaBN", changes)


def test_adabn_undoes_scale_and_offset_of_every_feature_in_every_candidate() -> None:
    """Its logits are those of the target without them, row by row."""
    found: list[list[Tensor]] = []
    for data in (translated(0.0), scaled()):
        task, seen = make_task(data), []
        train("AdaBN", task, norm_first(), lambda f, _, t=task, s=seen: s.append(f.outputs(t.test).logits) or {})
        found.append(seen)
    assert len(found[0]) == len(found[1]) == 2
    for plain, shifted in zip(*found, strict=True):
        torch.testing.assert_close(shifted, plain, rtol=1e-2, atol=1e-2)
        assert accuracy(shifted, scaled()[3]) > 0.95
    assert source_only(scaled) < 0.6


def test_predictions_use_the_statistics_of_the_whole_target() -> None:
    check_predictions_use_the_statistics_of_the_whole_target("AdaBN")


def test_a_network_without_batch_norm_is_refused_in_one_line() -> None:
    check_a_network_without_batch_norm_is_refused_in_one_line("AdaBN")


@pytest.mark.parametrize(
    ("data", "margin"),
    [
        (turned, 0.1),
        (translated, 0.2),
    ],
)
def test_a_method_beats_source_only_on_its_shift(data: Callable[[], Data], margin: float) -> None:
    check_it_beats_source_only_on_its_shift("AdaBN", data, margin)


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("AdaBN")
