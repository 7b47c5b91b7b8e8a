"""LeNet for digits (LeCun et al. 1998, in the size of ADDA's and CDAN's digit experiments); trained from scratch."""

from __future__ import annotations

from torch import Tensor, nn

from dalib.backbones._weights import find_file, hash_state, load_state, read_state
from dalib.core.backbone import Backbone, Preprocess


class LeNet(nn.Module):
    """Two convolutions of 5 x 5 with max pooling, and one dense layer.

    Shapes
        x (B, 3, 28, 28), channels normalised with mean .5 and std .5 (so in [-1, 1]); z (B, 500), z >= 0. Larger sides
        are accepted: maps are averaged down to 4 x 4 before the dense layer.
    """

    dim = 500

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, 20, 5), nn.MaxPool2d(2), nn.ReLU(inplace=True))
        self.conv2 = nn.Sequential(nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.ReLU(inplace=True))
        self.dense = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(800, self.dim), nn.ReLU(inplace=True)
        )

    def layer_groups(self) -> list[nn.Module]:
        """The parts from input to output, in the order in which they are frozen."""
        return [self.conv1, self.conv2, self.dense]

    def forward(self, x: Tensor) -> Tensor:
        for group in self.layer_groups():
            x = group(x)
        return x


OWN_WEIGHTS = "none"


def build(name: str, weights: str) -> Backbone:
    """`none` (random) or the path of a state dict; groups: two convolutions, the dense layer."""
    module, half = LeNet(), (0.5, 0.5, 0.5)
    backbone = Backbone(name, module, module.dim, module.layer_groups(), Preprocess(28, 28, half, half))
    if weights == "none":
        return backbone
    path = find_file(weights, ("none",))
    load_state(module, read_state(path), ("head.",), name, path.name)
    backbone.weights = path.name
    backbone.weights_hash = hash_state(module)
    return backbone
