"""What a pretrained network brings: the module, its width, its blocks and how its input is prepared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from dalib.core.errors import DalibError


@dataclass(frozen=True)
class Preprocess:
    """How uint8 images become the network's input.

    Args
        resize: side in pixels that images are warped to when they are decoded (aspect ignored)
        crop: side in pixels of the crop that enters the network, <= resize
        mean, std: per channel, of values in [0, 1]
        rotate180: turn the image by 180 degrees after all augmentation
        fixed: the network takes this crop only (a ViT's position embedding)
    """

    resize: int
    crop: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    rotate180: bool = False
    fixed: bool = False

    def at(self, crop: int = 0, resize: int = 0) -> Preprocess:
        """The same preparation at another size; 0 leaves crop as it is, and resize at its ratio to crop.

        Raises
            DalibError: another crop than the network's fixed one
        """
        crop = crop or self.crop
        if self.fixed and crop != self.crop:
            raise DalibError(f"crop = {crop} does not fit this backbone: it takes {self.crop} px only; leave crop out")
        return replace(self, crop=crop, resize=resize or round(crop * self.resize / self.crop))


@dataclass
class Backbone:
    """A feature extractor.

    Args
        name: registry name, `resnet50`
        module: maps prepared input (B, 3, H, W), or (B, d) for `identity`, to features (B, dim)
        dim: feature width
        groups: blocks from input to output, for freezing and discriminative rates
        preprocess: None for feature input
        weights: where the weights came from: `imagenet`, `none`, `pretrained` or the file's name
        weights_hash: sha256 of the state dict, `none` without weights
        frozen: embed every image once and train on the features only
        batch_norm_folded: running statistics carry no information (batch norms were folded into biases)
    """

    name: str
    module: nn.Module
    dim: int
    groups: Sequence[nn.Module] = field(default_factory=list)
    preprocess: Preprocess | None = None
    weights: str = "none"
    weights_hash: str = "none"
    frozen: bool = False
    batch_norm_folded: bool = False


class Identity(nn.Module):
    """Features pass as they are."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def identity(dim: int) -> Backbone:
    """The backbone of feature data sets and of frozen backbones' embeddings, width `dim`."""
    return Backbone("identity", Identity(), dim)


BackboneBuilder = Callable[[str, str], Backbone]
"""`build(name, weights) -> Backbone`, the one function of a file in `backbones/`."""
