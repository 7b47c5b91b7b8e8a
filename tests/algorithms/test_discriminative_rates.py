"""DiscriminativeRates: Discriminative fine-tuning."""

from __future__ import annotations

import pytest
from torch import Tensor

import dalib
from dalib.core.algorithm import Algorithm
from tests.support.algorithms import check_refusal
from tests.support.pretrained import check_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything
from tests.support.strategies import (
    check_a_backbone_rate_of_zero_freezes_the_backbone,
    check_fewer_steps_than_descents_are_no_error,
    check_the_classes_are_learnt,
    check_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used,
    toy,
)


def test_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything() -> None:
    check_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything("DiscriminativeRates", {})


def factors(algorithm: Algorithm, backbone_rate: float = 0.1) -> list[float]:
    """Factors of the stray layer, the three blocks, the bottleneck and the head."""
    network, layers = toy()
    algorithm.attach(network)
    found: dict[Tensor, float] = {}
    for module, factor in algorithm.rates(backbone_rate):
        found.update(dict.fromkeys(module.parameters(), factor))
    return [found[next(m.parameters())] for m in (*layers, network.bottleneck, network.head)]


def test_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used() -> None:
    check_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used("DiscriminativeRates")


def test_the_classes_are_learnt() -> None:
    check_the_classes_are_learnt("DiscriminativeRates")


@pytest.mark.parametrize("steps", [1, 2])
def test_fewer_steps_than_descents_are_no_error(steps: int) -> None:
    check_fewer_steps_than_descents_are_no_error("DiscriminativeRates", steps)


def test_discriminative_rates_divide_the_new_layers_rate_per_block_and_ignore_backbone_rate() -> None:
    expected = [1 / 8, 1 / 8, 1 / 4, 1 / 2, 1, 1]
    assert factors(dalib.DiscriminativeRates(decay=2.0)) == expected
    assert factors(dalib.DiscriminativeRates(decay=2.0), 0.7) == expected
    assert factors(dalib.DiscriminativeRates(), 0.0) == [0, 0, 0, 0, 1, 1]
    assert factors(dalib.DiscriminativeRates(decay=1.0)) == [1] * 6
    assert factors(dalib.DiscriminativeRates())[1:4] == pytest.approx([1 / 2.6**3, 1 / 2.6**2, 1 / 2.6])


def test_a_backbone_rate_of_zero_freezes_the_backbone() -> None:
    check_a_backbone_rate_of_zero_freezes_the_backbone("DiscriminativeRates")


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal(
        "DiscriminativeRates", {"decay": 0.5}, "discriminative_rates.decay = 0.5 is out of range; give a number >= 1"
    )
