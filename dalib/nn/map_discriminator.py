"""Tells domains apart by maps, patch by patch."""

from __future__ import annotations

from torch import Tensor, nn

LEAST = 32


class MapDiscriminator(nn.Module):
    """Maps (B, K, H, W) of 32 x 32 pixels or more -> domain scores (B, 1, H / 32, W / 32).

    Five 4 x 4 convolutions of stride 2, each twice as wide as the last, leaky by 0.2 in between, without a sigmoid: the
    discriminator of Vu et al. ADVENT, arXiv:1811.12833 (whose first layer is 64 wide).
    """

    def __init__(self, channels: int, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(4):
            layers += [nn.Conv2d(channels, width * 2**i, 4, 2, 1), nn.LeakyReLU(0.2)]
            channels = width * 2**i
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, 1, 4, 2, 1))

    def forward(self, maps: Tensor) -> Tensor:
        scores: Tensor = self.layers(maps)
        return scores
