"""The tiny backbone: small, shaped as it says, with weights that tell invented from untrained."""

from __future__ import annotations

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from dalib.backbones.tiny import WEIGHTS, TinyNet
from dalib.datasets.drawing import draw


def test_features_are_160_wide_and_not_negative() -> None:
    z = TinyNet().eval()(torch.randn(2, 3, 64, 64))
    assert z.shape == (2, TinyNet.dim)
    assert z.min() >= 0


def test_it_has_fewer_than_450_thousand_parameters_in_four_groups() -> None:
    net = TinyNet()
    groups = net.layer_groups()
    count = sum(p.numel() for p in net.parameters())
    assert count < 450_000
    assert count == sum(p.numel() for group in groups for p in group.parameters())
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(nn.Sequential(*groups).eval()(x).mean((2, 3)), net.eval()(x))


def test_the_shipped_weights_fit_and_are_below_two_megabytes() -> None:
    assert WEIGHTS.stat().st_size < 2_000_000
    TinyNet().load_state_dict(load_file(WEIGHTS))


def test_pretrained_features_separate_classes_better_than_random_ones() -> None:
    classes = ("bike", "mug", "keyboard", "scissors", "bookcase", "headphones")
    x = np.stack([draw(c, "amazon", i)[24:88, 24:88] for c in classes for i in range(6)])
    x = torch.from_numpy(x).permute(0, 3, 1, 2).float() / 127.5 - 1
    y = torch.arange(len(classes)).repeat_interleave(6)
    torch.manual_seed(0)
    pretrained, untrained = TinyNet().eval(), TinyNet().eval()
    pretrained.load_state_dict(load_file(WEIGHTS))

    def neighbour_accuracy(net: TinyNet) -> float:
        with torch.no_grad():
            z = nn.functional.normalize(net(x), dim=1)
        nearest = (z @ z.T).fill_diagonal_(-1).argmax(1)
        return (y[nearest] == y).float().mean().item()

    assert neighbour_accuracy(pretrained) > max(0.7, neighbour_accuracy(untrained))
