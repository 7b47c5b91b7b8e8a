"""Adapters behind blocks against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dalib.backbones import load_backbone
from dalib.nn.adapter import Adapted, Adapter, insert_adapters, output_width
from dalib.nn.feature_maps import find_outlets, record_outputs
from tests.support.tensors import BACKBONES, randn


@pytest.mark.parametrize("shape", [(3, 5), (3, 4, 5), (3, 5, 2, 4), (3, 2, 4, 5)])
def test_an_adapter_adds_a_bottleneck_at_every_position(shape: tuple[int, ...]) -> None:
    adapter, h = Adapter(5, 2).double(), randn(*shape)
    assert torch.equal(adapter(h), h)
    for p in adapter.parameters():
        nn.init.normal_(p)
    D, d, U, u = (p.detach().numpy() for p in adapter.parameters())
    axis = 1 if len(shape) == 4 and shape[1] == 5 else -1
    rows = h.movedim(axis, -1).reshape(-1, 5).numpy()
    expected = np.stack([row + U @ np.maximum(D @ row + d, 0) + u for row in rows])
    got = adapter(h).detach()
    assert got.shape == h.shape
    np.testing.assert_allclose(got.movedim(axis, -1).reshape(-1, 5).numpy(), expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(
        adapter.float()(h.float()).detach().movedim(axis, -1).reshape(-1, 5).numpy(), expected, rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("name", BACKBONES)
def test_adapters_fit_behind_every_block_and_change_nothing_at_first(name: str) -> None:
    backbone = load_backbone(name, "none")
    module, x = backbone.module.eval(), torch.randn(2, 3, 64, 64)
    names = find_outlets(module, backbone.groups)
    with torch.no_grad(), record_outputs(module.get_submodule(n) for n in names) as maps:
        before = module(x)
    assert [output_width(module.get_submodule(n)) for n in names] == [m.shape[1] for m in maps]
    for _ in range(2):
        adapters = insert_adapters(module, list(backbone.groups), 8)
        with torch.no_grad():
            assert torch.equal(module(x), before)
        assert [m for m in module.modules() if isinstance(m, Adapter)] == adapters
        assert [a.down.weight.shape for a in adapters] == [(8, m.shape[1]) for m in maps]
    assert not any(isinstance(m.block, Adapted) for m in module.modules() if isinstance(m, Adapted))


def test_a_block_without_layers_of_a_width_is_refused() -> None:
    with pytest.raises(ValueError, match="ReLU has no layer"):
        output_width(nn.ReLU())
