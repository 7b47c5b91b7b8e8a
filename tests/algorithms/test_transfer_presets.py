"""Full, partial and feature-only transfer by name."""

from __future__ import annotations

import pytest
from torch import nn

import dalib
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.train.config import TrainConfig
from dalib.train.optimiser import freeze_and_group


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
        DalibError, match=r"blocks = 'half'; give 'head', 'all' or a whole number .* 'features', 'partial'"
    ):
        dalib.FineTune(blocks="half").check()
