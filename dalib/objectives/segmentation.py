"""A class for every pixel: prediction (n, K, H, W), y (n, H, W), 255 where nobody said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from dalib.core.errors import DalibError
from dalib.core.objective import Objective, refuse_shape

if TYPE_CHECKING:
    import numpy as np

    from dalib.core.backbone import Backbone, Preprocess
    from dalib.core.network import Network

IGNORE = 255


class Segmentation(Objective):
    """Cross-entropy of every pixel that has a label; the answer of a pixel is the class of its largest logit.

    loss = mean over labelled pixels of the batch of -log softmax(prediction)_y

    The whole picture is the network's input: it is warped to `crop` x `crop` pixels, and so is its mask.

    Shapes
        prediction (B, K, H, W) logits, y (B, H, W) int64 in [0, K) or 255; answer (n, H, W) uint8
    """

    name = "segmentation"
    metrics = ("mean_iou", "pixel_accuracy")
    dense = True
    unsaid = IGNORE

    def check_labels(self, y: np.ndarray, outputs: int, where: str) -> None:
        refuse_shape(self.name, y, ("n", "H", "W"), where)

    def prepare(self, preprocess: Preprocess, crop: int = 0, resize: int = 0) -> Preprocess:
        side = preprocess.at(crop, 0).crop
        if resize not in (0, side):
            raise DalibError(
                f"resize = {resize}, but every pixel gets an answer, so nothing may be cut off a picture of "
                f"crop = {side}; leave resize out"
            )
        return preprocess.at(crop, side)

    def network(self, backbone: Backbone, outputs: int, bottleneck: int = 256, **how: Any) -> Network:
        from dalib.core.dense import DenseNetwork

        return DenseNetwork(backbone, outputs, bottleneck, objective=self, **how)

    def row_losses(self, prediction: Tensor, y: Tensor) -> Tensor:
        """Each picture's mean over its labelled pixels; 0 without any."""
        each = cross_entropy(prediction, y, ignore_index=IGNORE, reduction="none")
        return each.sum((1, 2)) / (y != IGNORE).sum((1, 2)).clamp(min=1)

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        each = cross_entropy(prediction, y, ignore_index=IGNORE, reduction="sum")
        return each / (y != IGNORE).sum().clamp(min=1)

    def decide(self, prediction: Tensor) -> Tensor:
        return prediction.argmax(1).to(torch.uint8) if prediction.ndim == 4 else prediction

    def keep(self, prediction: Tensor) -> Tensor:
        """The answer: K float32 per pixel of a whole domain would not fit into memory."""
        return self.decide(prediction)

    def tell(self, answer: Tensor, outputs: int) -> Tensor:
        """The part of the picture that each class has."""
        flat = answer.flatten(1).long()
        return torch.stack([one_hot(row, outputs).float().mean(0) for row in flat]) if len(flat) else flat.float()
