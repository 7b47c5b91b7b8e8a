"""How bottleneck and head begin."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from dalib.core.backbone import identity
from dalib.core.network import Network


@pytest.mark.parametrize("bottleneck", [0, 64])
@pytest.mark.parametrize("make", [Network.on_features, lambda *sizes: Network(identity(sizes[0]), *sizes[1:])])
def test_by_default_layers_begin_as_torch_lets_them(make: Callable[..., Network], bottleneck: int) -> None:
    torch.manual_seed(0)
    network = make(400, 50, bottleneck)
    for layer in [network.head, *([network.bottleneck[0]] if bottleneck else [])]:  # type: ignore[index]
        bound = layer.in_features**-0.5
        assert 0.95 * bound < float(layer.weight.abs().max()) <= bound
        assert 0.5 * bound < float(layer.bias.abs().max()) <= bound


def test_kaiming_is_what_records_made_before_began_with() -> None:
    torch.manual_seed(0)
    network = Network.on_features(400, 50, 256, initialisation="kaiming")
    linear = network.bottleneck[0]  # type: ignore[index]
    assert float(linear.weight.std()) == pytest.approx((2 / 400) ** 0.5, rel=0.02)
    assert float(network.head.weight.std()) == pytest.approx(0.01, rel=0.05)
    assert not linear.bias.any() and not network.head.bias.any()
