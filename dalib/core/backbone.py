"""What a network brings: the module, its width, its blocks and how its input is prepared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from dalib.core.errors import DalibError
from dalib.core.rows import RowShape, combine, row_shape
from dalib.core.text_tower import TextTower

if TYPE_CHECKING:
    from dalib.core.types import Domain


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

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def at(self, crop: int = 0, resize: int = 0) -> Preprocess:
        """The same preparation at another size; 0 leaves crop as it is, and resize at its ratio to crop.

        Raises
            DalibError: another crop than the network's fixed one
        """
        crop = crop or self.crop
        if self.fixed and crop != self.crop:
            raise DalibError(
                f"crop = {crop} does not fit this backbone: it takes {self.crop} px only; leave crop out"
                " (a timm model may be built for another size: its option img_size)"
            )
        return replace(self, crop=crop, resize=resize or round(crop * self.resize / self.crop))

    def of_side(self, side: int) -> Preprocess:
        """For images that are there at this side: cropped if it is `resize`, else taken whole."""
        return self if side == self.resize else self.at(side, side)


@dataclass(frozen=True)
class DetectorPlan:
    """What torchvision's Faster R-CNN on a backbone is made of, where that is not an anchor on every map.

    Args
        body: the module's part whose names a file of such a detector has
        maps: submodules whose outputs it looks at
        anchors: sides in pixels of the anchors at every position of every map
        least: score below which a region is not proposed
        eps: of the body's batch norms, which are others in the classifier
    """

    body: str
    maps: tuple[str, ...]
    anchors: tuple[float, ...]
    least: float
    eps: float


@dataclass
class Backbone:
    """A feature extractor.

    Args
        name: registry name, `resnet50`
        module: maps prepared input (B, 3, H, W), (B, d) for `identity`, rows as `rows` says, to features (B, dim)
        dim: feature width
        groups: blocks from input to output, for freezing and discriminative rates
        preprocess: None for feature input
        weights: where the weights came from: `imagenet`, `none`, `pretrained` or the file's name
        weights_hash: sha256 of the state dict, `none` without weights
        frozen: embed every row once and train on the features only
        batch_norm_folded: running statistics carry no information (batch norms were folded into biases)
        rows: the rows it was built for, where they are neither images nor ready features; with rows.ids whole numbers
            reach the module as int64, all else comes as float32
        parts: image modality -> its preparation, for rows of several modalities
        options: what `load_backbone` was given beside name and weights
        head: the classifier that the weights hold, features (B, dim) -> logits of the pretrained classes; None unless
            asked for (`load_backbone(head=True)`) and there
        maps: submodules whose outputs are feature maps (B, C, h, w), from fine to coarse, the last one what z is the
            mean of; none where answers per pixel cannot be made
        plan: torchvision's own detector on this backbone, where it is not what it is on a ResNet
        detector: where the weights were a detector's: all of them by torchvision's names; its body is in the module
        head_classes: what the head's outputs are called, where that is known
        text_tower: what reads class names, of CLIP and its like; kept where the head is asked for
        fixed: names of the module's parameters that stay frozen; None = those whose `requires_grad` is False
        pretraining: what the weights were trained on (`imagenet-1k`), in order; () = nothing, `unknown` = nobody says
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
    rows: RowShape | None = None
    parts: Mapping[str, Preprocess] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    head: nn.Linear | None = None
    head_classes: tuple[str, ...] = ()
    text_tower: TextTower | None = None
    fixed: frozenset[str] | None = None
    maps: tuple[str, ...] = ()
    plan: DetectorPlan | None = None
    detector: Mapping[str, Tensor] = field(default_factory=dict)
    pretraining: tuple[str, ...] = ()

    @classmethod
    def of(cls, module: nn.Module, x: np.ndarray | Mapping[str, np.ndarray], name: str = "module") -> Backbone:
        """Any module: it takes rows like those of x, (B, *S) or {modality: (B, *S)}, and gives features (B, dim).

        Args
            x: rows of the kind it takes, (n, *S) or {modality: (n, *S)}; only shape, type and largest id count
        Raises
            DalibError: the module does not turn two such rows into features (2, dim)
        """
        rows = row_shape(combine(x) if isinstance(x, Mapping) else np.asarray(x))
        training = {part: part.training for part in module.modules()}
        device = next((str(p.device) for p in module.parameters()), "cpu")
        try:
            with torch.no_grad():
                z = module.eval()(rows.zeros(2, device))
        except Exception as error:
            raise DalibError(f"{type(module).__name__} does not take rows {rows}: {error}") from error
        finally:
            for part, flag in training.items():
                part.training = flag
        if not isinstance(z, Tensor) or z.ndim != 2 or len(z) != 2:
            got = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
            raise DalibError(f"{type(module).__name__} gives {got} for 2 rows; return features (2, width)")
        return cls(name, module, z.shape[1], [module] if any(True for _ in module.parameters()) else [], rows=rows)

    def copied(self) -> Backbone:
        """The same with a module of its own: what is done to one leaves the other as it is."""
        module, groups, head = deepcopy((self.module, list(self.groups), self.head))
        return replace(self, module=module, groups=groups, head=head)

    def fix_parameters(self) -> Backbone:
        """The same with `fixed` said, and `requires_grad` as it says: what an earlier fit froze is free again."""
        named = dict(self.module.named_parameters())
        if self.fixed is None:
            return replace(self, fixed=frozenset(name for name, p in named.items() if not p.requires_grad))
        for name, parameter in named.items():
            parameter.requires_grad_(name not in self.fixed)
        return self

    def takes(self, domain: Domain) -> bool:
        """The domain's rows are the module's input, not features that it made (or would have made) of them."""
        if self.rows is None:
            return domain.is_images
        return bool(domain.x.dtype.names) or domain.x.ndim != 2 or domain.x.dtype.kind in "iu"


class Identity(nn.Module):
    """Features pass as they are."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def identity(dim: int) -> Backbone:
    """The backbone of feature data sets and of frozen backbones' embeddings, width `dim`."""
    return Backbone("identity", Identity(), dim)


BackboneBuilder = Callable[..., Backbone]
"""`build(name, weights) -> Backbone`, the one function of a file in `backbones/`.

One whose network depends on the data is `build(name, weights, rows)` and is told their `RowShape`; further parameters
are options with a default (`build(name, weights, rows, hidden=128)`), for `load_backbone` and a suite's [backbone].
"""
