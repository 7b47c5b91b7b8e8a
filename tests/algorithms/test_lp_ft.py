"""LpFt: Linear probing, then fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import dalib
from dalib.core.backbone import Backbone
from dalib.core.network import Network
from tests.support.algorithms import check_refusal
from tests.support.pretrained import check_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything
from tests.support.strategies import (
    check_a_backbone_rate_of_zero_freezes_the_backbone,
    check_a_run_killed_in_every_descent_ends_as_an_uninterrupted_one,
    check_fewer_steps_than_descents_are_no_error,
    check_the_classes_are_learnt,
    check_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used,
    check_the_probe_moves_no_backbone_weight_and_what_follows_moves_all,
)


def test_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything() -> None:
    check_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything("LpFt", {})


def test_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used() -> None:
    check_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used("LpFt")


def test_the_classes_are_learnt() -> None:
    check_the_classes_are_learnt("LpFt")


@pytest.mark.parametrize("steps", [1, 2])
def test_fewer_steps_than_descents_are_no_error(steps: int) -> None:
    check_fewer_steps_than_descents_are_no_error("LpFt", steps)


def test_a_run_killed_in_every_descent_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_run_killed_in_every_descent_ends_as_an_uninterrupted_one("LpFt", tmp_path)


def test_a_backbone_rate_of_zero_freezes_the_backbone() -> None:
    check_a_backbone_rate_of_zero_freezes_the_backbone("LpFt")


def test_the_probe_moves_no_backbone_weight_and_what_follows_moves_all() -> None:
    check_the_probe_moves_no_backbone_weight_and_what_follows_moves_all("LpFt")


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"probe": 1.0}, "lp_ft.probe = 1.0 is out of range; give a number in (0, 1)"),
        ({"probe": 0.0}, "lp_ft.probe = 0.0"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: dict[str, Any], message: str) -> None:
    check_refusal("LpFt", hparams, message)


def test_the_head_learns_at_the_recipes_rate_and_the_backbone_at_its_own_once_the_probe_is_over() -> None:
    algorithm = dalib.LPFT()
    block = nn.Linear(4, 4)
    algorithm.attach(Network(Backbone("toy", nn.Sequential(block), 4, [block]), 3, bottleneck=0))
    algorithm.register_buffer("begun", None)
    for factor in (0.0, 0.2):
        rates = {p: rate for module, rate in algorithm.rates(0.2) for p in module.parameters()}
        assert rates[algorithm.network.head.weight] == 1.0 and rates[block.weight] == factor
        algorithm.begun = torch.ones(())
