"""Distances of feature maps against NumPy, and where blocks let them out."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from dalib.backbones import load_backbone
from dalib.nn.feature_maps import feature_map_distance, find_outlets, record_outputs
from tests.support.tensors import BACKBONES, randn


@pytest.mark.parametrize("shape", [(4, 5), (4, 3, 5), (4, 5, 2, 3)])
def test_the_distance_sums_channels_and_averages_rows_and_positions(shape: tuple[int, ...]) -> None:
    a, b = randn(*shape), randn(*shape, seed=1)
    rows_a, rows_b = ((v.flatten(2) if v.ndim == 4 else v.reshape(4, -1, 5).mT).numpy() for v in (a, b))
    total = 0.0
    for i, c, position in itertools.product(*map(range, rows_a.shape)):
        total += (rows_a[i, c, position] - rows_b[i, c, position]) ** 2
    expected = total / (2 * rows_a.shape[0] * rows_a.shape[2])
    assert float(feature_map_distance(a, b)) == pytest.approx(expected, abs=1e-8)
    assert float(feature_map_distance(a.float(), b.float())) == pytest.approx(expected, abs=1e-4)
    assert torch.autograd.gradcheck(feature_map_distance, (a.requires_grad_(), b))


@pytest.mark.parametrize("name", BACKBONES)
def test_every_block_has_an_outlet_and_the_last_one_is_what_the_backbone_pools(name: str) -> None:
    backbone = load_backbone(name, "none")
    module = backbone.module.eval()
    names = find_outlets(module, backbone.groups)
    assert len(set(names)) == len(backbone.groups)
    with torch.no_grad(), record_outputs(module.get_submodule(n) for n in names) as maps:
        z = module(torch.randn(2, 3, 64, 64))
    assert len(maps) == len(names)
    torch.testing.assert_close(maps[-1].mean((2, 3)), z)
    with torch.no_grad():
        module(torch.randn(2, 3, 64, 64))
    assert len(maps) == len(names), "hooks stay behind"


def test_blocks_that_only_list_layers_are_read_at_their_last_layer() -> None:
    resnet = load_backbone("resnet18", "none")
    assert find_outlets(resnet.module, resnet.groups) == ["bn1", "layer1", "layer2", "layer3", "layer4"]
    module = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    tokens = nn.ParameterList([nn.Parameter(torch.zeros(2))])
    listed = [nn.ModuleList([module[0], tokens]), module[1:3], nn.Linear(2, 2)]
    assert find_outlets(module, listed) == ["0", "2"]
