"""LoRA: Low-rank adaptation of every dense layer of the backbone; the head is learned too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dalib.core.errors import DalibError
from dalib.nn.low_rank import LowRank
from tests.support.algorithms import check_refusal
from tests.support.image_methods import (
    attached_to_images,
    check_a_backbone_may_be_fitted_twice,
    check_a_killed_run_on_images_ends_as_an_uninterrupted_one,
    check_a_model_file_predicts_what_was_fitted,
    check_every_recipe_trains_to_finite_outputs,
    check_nothing_changes_before_training,
    check_only_the_chosen_blocks_change,
    check_pretrained_weights_stay_and_what_was_added_learns,
    every_recipe,
    hiding,
    reached,
    world,
)


def test_a_killed_run_on_images_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_killed_run_on_images_ends_as_an_uninterrupted_one("lora", tmp_path)


def test_a_model_file_predicts_what_was_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_a_model_file_predicts_what_was_fitted("lora", tmp_path, monkeypatch)


@every_recipe
def test_every_recipe_trains_to_finite_outputs(changes: dict[str, Any]) -> None:
    check_every_recipe_trains_to_finite_outputs("lora", changes)


def test_a_backbone_may_be_fitted_twice() -> None:
    check_a_backbone_may_be_fitted_twice("lora")


def test_pretrained_weights_stay_and_what_was_added_learns() -> None:
    check_pretrained_weights_stay_and_what_was_added_learns("lora")


def test_nothing_changes_before_training() -> None:
    check_nothing_changes_before_training("lora")


@pytest.mark.parametrize(("blocks", "touched"), [("all", {"0", "1"}), ("first", {"0"}), (1, {"1"}), (2, {"0", "1"})])
def test_only_the_chosen_blocks_change(blocks: int | str, touched: set[str]) -> None:
    check_only_the_chosen_blocks_change("lora", blocks, touched)


def test_the_scale_of_an_update_is_alpha_over_rank() -> None:
    algorithm = attached_to_images("lora", rank=2, alpha=3.0)
    assert {m.scale for m in algorithm.modules() if isinstance(m, LowRank)} == {1.5}


def test_a_low_rank_update_reads_what_the_frozen_backbone_hides() -> None:
    task = world(lambda x: x[:, 7] > 0, 300)
    assert reached("fine_tune", task, hiding(), {"blocks": "head"}) < 0.6
    assert reached("lora", task, hiding(), {"rank": 1, "alpha": 1.0}) > 0.9


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"rank": 0}, "rank = 0 is out of range; give a whole number >= 1"),
        ({"alpha": 0.0}, "alpha = 0.0 is out of range; give a number > 0"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("lora", hparams, message)


def test_there_are_no_more_blocks_than_the_backbone_has() -> None:
    with pytest.raises(DalibError, match=r"lora.blocks = 3, but the backbone has 2"):
        attached_to_images("lora", blocks=3)
