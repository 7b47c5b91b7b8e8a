"""Surgical: Surgical fine-tuning."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import dalib
from dalib.core.errors import DalibError
from dalib.core.network import Network
from tests.support.algorithms import check_refusal
from tests.support.pretrained import D, Data, draw, reached
from tests.support.strategies import (
    check_a_backbone_rate_of_zero_freezes_the_backbone,
    check_fewer_steps_than_descents_are_no_error,
    check_the_classes_are_learnt,
    check_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used,
    entries,
    moved,
    toy,
)


def turned(n: int, seed: int) -> Data:
    """The input's coordinates are mixed by a rotation: a shift of the input, which the first layer can undo."""
    turn = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(5)))[0]
    x, y = draw(n, seed)
    return x @ turn, y


def test_the_first_block_undoes_a_shift_of_the_input_as_neither_the_last_nor_the_head_can() -> None:
    few, test = turned(40, 11), turned(600, 12)
    first = reached(dalib.Surgical("first"), few, test)
    assert first > 0.85
    assert first > reached(dalib.Surgical("last"), few, test) + 0.2
    assert first > reached(dalib.FineTune("head"), few, test) + 0.2


def test_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used() -> None:
    check_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used("Surgical")


def test_the_classes_are_learnt() -> None:
    check_the_classes_are_learnt("Surgical")


@pytest.mark.parametrize("steps", [1, 2])
def test_fewer_steps_than_descents_are_no_error(steps: int) -> None:
    check_fewer_steps_than_descents_are_no_error("Surgical", steps)


@pytest.mark.parametrize(("block", "expected"), [("first", 0), ("last", 1), (1, 0), (2, 1)])
def test_surgical_moves_one_block_statistics_included(block: int | str, expected: int) -> None:
    assert moved(dalib.Surgical(block=block)) == entries(expected)


def test_a_backbone_rate_of_zero_freezes_the_backbone() -> None:
    check_a_backbone_rate_of_zero_freezes_the_backbone("Surgical")


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"block": "middle"}, "surgical.block = 'middle'; give 'first', 'last' or a whole number >= 1"),
        ({"block": 0}, "surgical.block = 0"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: dict[str, Any], message: str) -> None:
    check_refusal("Surgical", hparams, message)


def test_a_block_that_the_backbone_lacks_is_refused_with_their_number() -> None:
    with pytest.raises(DalibError, match=r"surgical.block = 4, but the backbone has 3 blocks; give at most 3"):
        dalib.Surgical(block=4).attach(toy()[0])


def test_a_numbered_block_of_feature_data_is_refused() -> None:
    with pytest.raises(DalibError, match="backbone has 0 blocks; use an image backbone"):
        dalib.Surgical(block=1).attach(Network.on_features(6, 3, 0))
