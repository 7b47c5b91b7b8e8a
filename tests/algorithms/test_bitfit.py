"""Bitfit: Bias-term fine-tuning: every bias of the backbone, those of its norms included, and the new layers."""

from __future__ import annotations

import pytest
import torch

import dalib
from dalib.train.config import TrainConfig
from dalib.train.optimiser import freeze_and_group
from tests.support.algorithms import check_refusal
from tests.support.pretrained import D, Data, draw, reached
from tests.support.strategies import (
    check_a_backbone_rate_of_zero_freezes_the_backbone,
    check_fewer_steps_than_descents_are_no_error,
    check_the_classes_are_learnt,
    check_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used,
    moved,
    toy,
)


def offset(n: int, seed: int) -> Data:
    """Every coordinate has an offset, which biases can undo."""
    x, y = draw(n, seed)
    return x + 2 * torch.tensor([1.0, -1.0]).repeat(D // 2), y


def test_biases_undo_an_offset_of_the_input() -> None:
    few, test = offset(24, 11), offset(600, 12)
    found = reached(dalib.Bitfit(rate=1.0), few, test, lr=0.05)
    assert found > reached(dalib.FineTune("head"), few, test, lr=0.05) + 0.04
    assert found > reached(dalib.FineTune("all", decay=1.0), few, test, lr=0.05) + 0.04


def test_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used() -> None:
    check_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used("Bitfit")


def test_the_classes_are_learnt() -> None:
    check_the_classes_are_learnt("Bitfit")


@pytest.mark.parametrize("steps", [1, 2])
def test_fewer_steps_than_descents_are_no_error(steps: int) -> None:
    check_fewer_steps_than_descents_are_no_error("Bitfit", steps)


def test_bitfit_moves_the_biases_alone() -> None:
    biases = {f"{block}.{layer}.bias" for block in (0, 1) for layer in (0, 1)}
    assert moved(dalib.Bitfit()) == biases
    network, _ = toy()
    algorithm = dalib.Bitfit(rate=3.0)
    algorithm.attach(network)
    groups, _ = freeze_and_group(algorithm, TrainConfig(backbone_rate=0.1, lr=1.0))
    rates = {id(p): g["lr"] for g in groups for p in g["params"]}  # type: ignore[attr-defined]
    for name, p in network.named_parameters():
        expected = 1.0 if not name.startswith("backbone") else pytest.approx(0.3) if name.endswith("bias") else None
        assert rates.get(id(p)) == expected and p.requires_grad == (expected is not None)


def test_a_backbone_rate_of_zero_freezes_the_backbone() -> None:
    check_a_backbone_rate_of_zero_freezes_the_backbone("Bitfit")


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("Bitfit", {"rate": 0.0}, "bitfit.rate = 0.0 is out of range; give a number > 0")
