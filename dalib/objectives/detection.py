"""Boxes with classes: y (n, M, 5), answers (n, D, 6); what is predicted in training is what the detector sees."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dalib.core.errors import DalibError
from dalib.core.objective import Objective, refuse_shape

if TYPE_CHECKING:
    import numpy as np

    from dalib.core.backbone import Backbone, Preprocess
    from dalib.core.network import Network


class Detection(Objective):
    """Faster R-CNN's loss; the answer are boxes, each of a class and with a score.

    loss = objectness of anchors (binary cross-entropy) + their boxes (smooth L1)
         + class of regions (cross-entropy, background among them) + their boxes (smooth L1), all torchvision's

    The whole picture is the network's input: it is warped to `crop` x `crop` pixels, and so are its boxes.

    Shapes
        prediction: `dalib.nn.seen.Seen` of B rows; y (B, M, 5) float32 of class, left, top, right, bottom, padded
        with class -1; answer (n, D, 6) float32 of class, score, left, top, right, bottom, padded likewise; pixels of
        the picture as the network sees it, right and bottom exclusive; classes in [0, K) without a background
    """

    name = "detection"
    metrics = ("coco_ap", "ap50")
    dense = True
    structured = True

    def check(self) -> None:
        if importlib.util.find_spec("pycocotools") is None:
            raise DalibError(
                "boxes are measured by the package pycocotools, which is not installed: pip install "
                "dalib-toolkit[detection]"
            )

    def says_nothing(self, y: np.ndarray) -> bool:
        return len(y) > 0 and bool((y[..., 0] < 0).all())

    def check_labels(self, y: np.ndarray, outputs: int, where: str) -> None:
        refuse_shape(self.name, y, ("n", "M", 5), where)

    def prepare(self, preprocess: Preprocess, crop: int = 0, resize: int = 0) -> Preprocess:
        side = preprocess.at(crop, 0).crop
        if resize not in (0, side):
            raise DalibError(
                f"resize = {resize}, but boxes are anywhere in a picture, so nothing may be cut off one of crop = "
                f"{side}; leave resize out"
            )
        return preprocess.at(crop, side)

    def network(self, backbone: Backbone, outputs: int, bottleneck: int = 256, **how: Any) -> Network:
        from dalib.core.detection import DetectionNetwork

        return DetectionNetwork(backbone, outputs, bottleneck, objective=self, **how)

    def row_losses(self, prediction: Any, y: Tensor) -> Tensor:
        """The loss of each picture alone, whose draws are its own."""
        return torch.stack([self.loss(prediction[i : i + 1], y[i : i + 1]) for i in range(len(y))])

    def loss(self, prediction: Any, y: Tensor) -> Tensor:
        return torch.stack(list(prediction.losses(y).values())).sum()

    def decide(self, prediction: Any) -> Tensor:
        return prediction if isinstance(prediction, Tensor) else prediction.boxes()

    def keep(self, prediction: Any) -> Tensor:
        return self.decide(prediction).float()

    def tell(self, answer: Tensor, outputs: int) -> Tensor:
        """How many boxes of each class have a score of a half or more."""
        kind = torch.where(answer[..., 1] >= 0.5, answer[..., 0], -1).long()
        return one_hot(kind + 1, outputs + 1).sum(1)[:, 1:] if len(answer) else answer.new_zeros(0, outputs)
