"""Adapters: An adapter behind each chosen block of the backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dalib.core.errors import DalibError
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
    check_a_killed_run_on_images_ends_as_an_uninterrupted_one("adapters", tmp_path)


def test_a_model_file_predicts_what_was_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_a_model_file_predicts_what_was_fitted("adapters", tmp_path, monkeypatch)


@every_recipe
def test_every_recipe_trains_to_finite_outputs(changes: dict[str, Any]) -> None:
    check_every_recipe_trains_to_finite_outputs("adapters", changes)


def test_a_backbone_may_be_fitted_twice() -> None:
    check_a_backbone_may_be_fitted_twice("adapters")


def test_pretrained_weights_stay_and_what_was_added_learns() -> None:
    check_pretrained_weights_stay_and_what_was_added_learns("adapters")


def test_nothing_changes_before_training() -> None:
    check_nothing_changes_before_training("adapters")


@pytest.mark.parametrize(("blocks", "touched"), [("all", {"0", "1"}), ("first", {"0"}), (1, {"1"}), (2, {"0", "1"})])
def test_only_the_chosen_blocks_change(blocks: int | str, touched: set[str]) -> None:
    check_only_the_chosen_blocks_change("adapters", blocks, touched)


def test_an_adapter_bends_what_the_head_needs_straight_but_reads_nothing_hidden() -> None:
    product = world(lambda x: x[:, 0] * x[:, 1] > 0, 300)
    assert reached("fine_tune", product, hiding(), {"blocks": "head"}) < 0.65

    assert reached("adapters", product, hiding(), steps=600) > 0.9
    assert reached("adapters", world(lambda x: x[:, 7] > 0, 300), hiding()) < 0.6


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"width": 0}, "adapters.width = 0"),
        ({"blocks": 0}, "adapters.blocks = 0; give 'all', 'first' or a whole number >= 1"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("adapters", hparams, message)


def test_there_are_no_more_blocks_than_the_backbone_has() -> None:
    with pytest.raises(DalibError, match=r"adapters.blocks = 3, but the backbone has 2"):
        attached_to_images("adapters", blocks=3)
