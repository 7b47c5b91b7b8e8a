"""A residual network small enough to train on one CPU core, pretrained on drawn objects."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from dalib.backbones._torchvision import take_body
from dalib.backbones._weights import find_file, hash_state, load_state, read_state
from dalib.core.backbone import Backbone, Preprocess


class Residual(nn.Module):
    """relu(x' + BN(conv(relu(BN(conv x))))), with x' = x, or its pooled 1x1 projection where the shape changes."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outer)
        self.shortcut: nn.Module = nn.Identity()
        if inner != outer or stride > 1:
            pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv2d(inner, outer, 1, bias=False), nn.BatchNorm2d(outer))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.shortcut(x) + self.norm2(self.conv2(h)), inplace=True)


class TinyNet(nn.Module):
    """Stem and three residual stages, then the mean over positions.

    Shapes
        x (B, 3, 64, 64), channels normalised with mean .5 and std .5 (so in [-1, 1]); z (B, 160), z >= 0.
        Any side that 16 divides is accepted.
    """

    dim = 160

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 24, 5, 2, 2, bias=False), nn.BatchNorm2d(24), nn.ReLU(inplace=True), nn.MaxPool2d(2)
        )
        self.stage1 = Residual(24, 32, 1)
        self.stage2 = Residual(32, 72, 2)
        self.stage3 = Residual(72, self.dim, 2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def layer_groups(self) -> list[nn.Module]:
        """The parts from input to output, in the order in which they are frozen."""
        return [self.stem, self.stage1, self.stage2, self.stage3]

    def forward(self, x: Tensor) -> Tensor:
        for group in self.layer_groups():
            x = group(x)
        return x.mean((2, 3))


WEIGHTS = Path(__file__).parent / "weights" / "tiny.safetensors"
OWN_WEIGHTS = "pretrained"
PRETRAINING = {"pretrained": ("drawn-objects",)}
MAPS = ("stem.2", "stage1", "stage2", "stage3")
"""Of a half, a quarter, an eighth and a sixteenth of the image's side."""


def build(name: str, weights: str) -> Backbone:
    """`pretrained` is what ships with dalib (`benchmarks/pretrain_tiny.py` made it); groups: stem, three stages."""
    module, half = TinyNet(), (0.5, 0.5, 0.5)
    backbone = Backbone(name, module, module.dim, module.layer_groups(), Preprocess(72, 64, half, half), maps=MAPS)
    if weights == "none":
        return backbone
    path = WEIGHTS if weights == "pretrained" else find_file(weights, ("pretrained", "none"))
    backbone.weights = "pretrained" if path == WEIGHTS else path.name
    load_state(module, take_body(backbone, read_state(path)), ("head.",), name, path.name)
    backbone.weights_hash = hash_state(module)
    return backbone
