"""GradualUnfreezing: Gradual unfreezing: no block moves before those above it have adapted to the labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

import dalib
from dalib.core.algorithm import Minimise
from dalib.core.backbone import Backbone
from dalib.core.network import Network
from dalib.core.types import Source, Target
from tests.support.algorithms import check_refusal
from tests.support.pretrained import check_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything
from tests.support.strategies import (
    check_a_backbone_rate_of_zero_freezes_the_backbone,
    check_a_run_killed_in_every_descent_ends_as_an_uninterrupted_one,
    check_fewer_steps_than_descents_are_no_error,
    check_the_classes_are_learnt,
    check_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used,
    entries,
    moved,
    train,
)


def test_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything() -> None:
    check_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything("GradualUnfreezing", {})


def test_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used() -> None:
    check_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used("GradualUnfreezing")


def test_the_classes_are_learnt() -> None:
    check_the_classes_are_learnt("GradualUnfreezing")


@pytest.mark.parametrize("steps", [1, 2])
def test_fewer_steps_than_descents_are_no_error(steps: int) -> None:
    check_fewer_steps_than_descents_are_no_error("GradualUnfreezing", steps)


def test_a_run_killed_in_every_descent_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_run_killed_in_every_descent_ends_as_an_uninterrupted_one("GradualUnfreezing", tmp_path)


def test_gradual_unfreezing_adds_a_block_per_descent_from_the_top() -> None:
    seen: list[list[float]] = []

    class Watching(dalib.GradualUnfreezing):  # type: ignore[misc, name-defined]
        def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
            rates = {p: r for m, r in self.rates(0.5) for p in m.parameters()}
            seen.append([rates[p] for p in (next(g.parameters()) for g in self.network.groups)])
            assert [p.requires_grad for p in rates] == [r > 0 for r in rates.values()]
            super().step(source, target, progress, minimise)

    train(Watching(until=0.5, decay=2.0), steps=16, backbone_rate=0.5)
    assert seen == [[0, 0]] * 4 + [[0, 0.5]] * 4 + [[0.25, 0.5]] * 8


@pytest.mark.parametrize(("until", "blocks"), [(0.99, {1}), (0.5, {0, 1})])
def test_gradual_unfreezing_leaves_frozen_blocks_as_they_are_statistics_included(
    until: float, blocks: set[int]
) -> None:
    """The last descent of 0.99 has no step left."""
    expected = set().union(*(entries(b) for b in blocks))
    assert moved(dalib.GradualUnfreezing(until=until), steps=20) == expected


def test_a_backbone_rate_of_zero_freezes_the_backbone() -> None:
    check_a_backbone_rate_of_zero_freezes_the_backbone("GradualUnfreezing")


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"until": 1.0}, "gradual_unfreezing.until = 1.0 is out of range; give a number in (0, 1)"),
        ({"decay": 0.9}, "gradual_unfreezing.decay = 0.9 is out of range; give a number >= 1"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: dict[str, Any], message: str) -> None:
    check_refusal("GradualUnfreezing", hparams, message)


def test_what_lies_outside_of_the_blocks_moves_last_and_as_slowly_as_the_lowest_of_them() -> None:
    stem, blocks = nn.Linear(4, 4), [nn.Linear(4, 4) for _ in range(3)]
    algorithm = dalib.GradualUnfreezing(decay=2.0)
    algorithm.attach(Network(Backbone("toy", nn.Sequential(stem, *blocks), 4, blocks), 3, bottleneck=0))
    for unfrozen, factor in ((2, 0.0), (3, 0.025)):
        algorithm.unfrozen.fill_(unfrozen)
        rates = {p: rate for module, rate in algorithm.rates(0.1) for p in module.parameters()}
        assert rates[stem.weight] == pytest.approx(factor)
