"""What is computed of predictions for every pixel: information maps, labels of one's own, mixtures of pictures."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy, one_hot

from dalib.nn.discrepancy import as_float

IGNORE = 255


def information_map(prediction: Tensor) -> Tensor:
    """-p_c log p_c / log K of every pixel and class, p = softmax(prediction) over classes: (B, K, H, W), >= 0.

    Summed over classes it is the entropy, as a part of its largest. Vu et al. ADVENT. CVPR 2019. arXiv:1811.12833.
    """
    log_p = as_float(prediction).log_softmax(1)
    return -log_p.exp() * log_p / math.log(prediction.shape[1])


def charbonnier_entropy(prediction: Tensor, power: float = 2.0) -> Tensor:
    """mean over pixels of (H² + 1e-8)^power, H = entropy as a part of log K: what is certain already hardly counts.

    Shapes: prediction (B, K, H, W) -> scalar
    Yang & Soatto. FDA. CVPR 2020. arXiv:2004.05498 with the constant of the authors' code.
    """
    relative = information_map(prediction).sum(1)
    return (relative.square() + 1e-8).pow(power).mean()


def balanced_labels(prediction: Tensor, part: float | Tensor) -> Tensor:
    """Labels (B, H, W) int64 of the surest pixels of each class, 255 for the others.

    t_c = the smallest of the floor(part * n_c) largest max p among the n_c pixels that are called c; 1 where there is
    none. A pixel's label is argmax_c p_c / t_c, if that ratio is >= 1.

    Args
        prediction: (B, K, H, W) logits
        part: of the pixels called c, in [0, 1]

    Zou et al. Unsupervised Domain Adaptation for Semantic Segmentation via Class-Balanced Self-Training. ECCV 2018.
    arXiv:1810.07911, as in the authors' code.
    """
    p = as_float(prediction).softmax(1)
    confidence, called = p.max(1)
    thresholds = [_threshold(confidence[called == c], part) for c in range(p.shape[1])]
    ratio, label = (p / torch.stack(thresholds).view(1, -1, 1, 1)).max(1)
    return torch.where(ratio >= 1, label, IGNORE)


def _threshold(confidence: Tensor, part: float | Tensor) -> Tensor:
    count = int(part * len(confidence))
    return confidence.topk(count).values[-1] if count else confidence.new_ones(())


def draw_class_mask(y: Tensor) -> Tensor:
    """Pixels (B, H, W) bool of half of the classes of each picture, rounded up, drawn by torch's generator.

    Pixels without a label (255) belong to no class. Olsson et al. ClassMix. WACV 2021. arXiv:2007.07936.
    """
    masks = []
    for row in y:
        classes = row[row != IGNORE].unique()
        order = torch.randperm(len(classes)).to(y.device)
        masks.append(torch.isin(row, classes[order[: (len(classes) + 1) // 2]]))
    return torch.stack(masks)


def weighed_cross_entropy(prediction: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """sum over pixels with a label of weight * -log softmax(prediction)_y, over the number of all pixels.

    Shapes: prediction (B, K, H, W), y (B, H, W) int64 or 255, weight (B, H, W)
    """
    each = cross_entropy(as_float(prediction), y, ignore_index=IGNORE, reduction="none")
    return (weight * each).mean()


def feature_distance(f: Tensor, kept: Tensor, y: Tensor, classes: int, things: int, least: float = 0.75) -> Tensor:
    """mean over positions of the map that show a thing of |f - kept|_2 over channels; 0 where none does.

    A position shows the class that has at least the part `least` of the pixels that it covers, if that is `things` or a
    later one; pixels without a label (255) are nobody's.

    Shapes: f, kept (B, C, h, w), y (B, H, W) int64 -> scalar
    Hoyer et al. DAFormer. CVPR 2022. arXiv:2111.14887, as in the authors' code.
    """
    told = one_hot(torch.where(y == IGNORE, classes, y), classes + 1).permute(0, 3, 1, 2)
    most, kind = adaptive_avg_pool2d(told.float(), (f.shape[2], f.shape[3])).max(1)
    shown = (most >= least) & (kind >= things) & (kind < classes)
    each = torch.linalg.vector_norm(as_float(f) - as_float(kept), dim=1)
    return torch.where(shown, each, 0.0).sum() / shown.sum().clamp(min=1)
