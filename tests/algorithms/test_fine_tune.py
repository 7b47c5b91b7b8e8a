"""FineTune: Cross-entropy on the source with chosen blocks trainable, each at its own rate; the target is not used."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn

import dalib
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.train.config import TrainConfig
from dalib.train.optimiser import freeze_and_group
from tests.support.algorithms import (
    check_constant_features_and_predictions_have_finite_gradients,
    check_every_deep_loss_starts_with_the_source_cross_entropy,
    check_refusal,
)
from tests.support.shifts import check_it_does_no_harm_without_a_shift


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("FineTune", {})


def test_every_deep_loss_starts_with_the_source_cross_entropy() -> None:
    check_every_deep_loss_starts_with_the_source_cross_entropy("FineTune")


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_features_and_predictions_have_finite_gradients(value: float) -> None:
    check_constant_features_and_predictions_have_finite_gradients("FineTune", value)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"decay": 0.5}, "fine_tune.decay = 0.5"),
        (
            {"blocks": "tail"},
            "fine_tune.blocks = 'tail' is out of range; give 'features', 'partial', 'full', 'head', 'all' or a whole",
        ),
        ({"blocks": 0}, "fine_tune.blocks = 0"),
        ({"blocks": 2}, "the backbone has 0 blocks; give 'head' or 'all'"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("FineTune", hparams, message)


def three_blocks() -> tuple[Network, list[nn.Module]]:
    blocks: list[nn.Module] = [nn.Linear(4, 4) for _ in range(3)]
    return Network(Backbone("toy", nn.Sequential(*blocks), 4, blocks), 3, bottleneck=5), blocks


def factors(blocks: int | str, decay: float = 2.0) -> list[float]:
    """Effective factors of the three blocks, the bottleneck and the head at backbone_rate 0.1."""
    network, groups = three_blocks()
    algorithm = dalib.FineTune(blocks=blocks, decay=decay)
    algorithm.attach(network)
    found: dict[Tensor, float] = {}
    for module, factor in algorithm.rates(0.1):
        found.update(dict.fromkeys(module.parameters(), factor))
    return [found[next(m.parameters())] for m in (*groups, network.bottleneck, network.head)]


def test_fine_tune_freezes_and_discriminates_by_block() -> None:
    assert factors("head") == [0, 0, 0, 1, 1]
    assert factors(1) == [0, 0, 0.1, 1, 1]
    assert factors(2) == [0, 0.05, 0.1, 1, 1]
    assert factors(3) == factors("all") == [0.025, 0.05, 0.1, 1, 1]
    assert factors("all", decay=1.0) == [0.1, 0.1, 0.1, 1, 1]


def test_what_lies_outside_of_the_blocks_moves_as_slowly_as_the_lowest_of_them() -> None:
    stem, (_, blocks) = nn.Linear(4, 4), three_blocks()
    network = Network(Backbone("toy", nn.Sequential(stem, *blocks), 4, blocks), 3, bottleneck=0)
    for chosen, factor in (("all", 0.025), ("full", 0.1), (2, 0.0)):
        algorithm = dalib.FineTune(blocks=chosen, decay=2.0)
        algorithm.attach(network)
        rates: dict[Tensor, float] = {}
        for module, rate in algorithm.rates(0.1):
            rates.update(dict.fromkeys(module.parameters(), rate))
        assert rates[stem.weight] == pytest.approx(factor), chosen


def trained_blocks(blocks: object, count: int = 5, **hparams: float) -> dict[int, float]:
    """Block number -> learning-rate factor of every block that moves."""
    layers = [nn.Linear(4, 4) for _ in range(count)]
    algorithm = dalib.FineTune(blocks=blocks, **hparams)
    algorithm.attach(Network(Backbone("stack", nn.Sequential(*layers), 4, layers), 3, bottleneck=0))
    groups, _ = freeze_and_group(algorithm, TrainConfig(backbone_rate=0.1))
    factor = {id(p): g["factor"] for g in groups for p in g["params"]}  # type: ignore[attr-defined]
    assert factor[id(algorithm.network.head.weight)] == 1.0
    return {i: factor[id(m.weight)] for i, m in enumerate(layers) if id(m.weight) in factor}


def test_presets_move_nothing_the_upper_half_or_everything_at_one_rate() -> None:
    assert trained_blocks("features") == {} == trained_blocks("head")
    assert trained_blocks("partial") == {2: 0.1, 3: 0.1, 4: 0.1}
    assert trained_blocks("partial", count=4) == {2: 0.1, 3: 0.1}
    assert trained_blocks("full") == dict.fromkeys(range(5), 0.1) == trained_blocks("all", decay=1.0)


def test_other_blocks_keep_their_decay() -> None:
    assert trained_blocks(2, decay=2.0) == {3: 0.05, 4: 0.1}


def test_an_unknown_preset_is_one_clear_line() -> None:
    with pytest.raises(
        DalibError,
        match=r"blocks = 'half' is out of range; give 'features', 'partial', 'full', 'head', 'all' or a whole number",
    ):
        dalib.FineTune(blocks="half").check()
