"""SlicedWasserstein: Sliced Wasserstein distance between features."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.support.algorithms import DIM, attached, batch, check_refusal
from tests.support.shifts import (
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    translated,
)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("SlicedWasserstein", translated, {})


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("SlicedWasserstein", {})


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("SlicedWasserstein", {"directions": True}, "sliced_wasserstein.directions = True")


def test_sliced_wasserstein_of_a_move_is_its_squared_length_on_average() -> None:
    source, target = batch(9, 9)
    moved = replace(target, z=source.z.detach() + 2.0)
    torch.manual_seed(0)
    term = attached("SlicedWasserstein", weight=0.5, directions=20_000).loss(source, moved, 0.5)["discrepancy"]
    assert term.item() == pytest.approx(0.5 * 4 * DIM, rel=0.03)
