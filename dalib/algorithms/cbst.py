"""The surest pixels of each class teach the network, the same part of every class."""

import torch
from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.pixels import balanced_labels, weighed_cross_entropy


class CBST(Algorithm):
    """Class-balanced self-training on the target's pixels.

    loss = CE(prediction_s, y_s) + weight * sum over pixels i with a label of CE(prediction_i, l_i) / all target pixels
    l_i = argmax_c p_ic / t_c, if that is >= 1; t_c: a part q of the pixels called c are at least as sure
    q = first + (last - first) * progress; p is constant

    Shapes
        prediction (B, K, H, W), y (B, H, W)
    Reference
        Zou et al. Unsupervised Domain Adaptation for Semantic Segmentation via Class-Balanced Self-Training. ECCV 2018.
        arXiv:1810.07911. Parts: from 20 % to 50 %, as there.
        Departures: labels and t_c are those of the batch, so they follow the network (there: of the whole target, made
        again each round); q rises steadily (there: by 5 % a round); no spatial prior; nothing before `start`.
    """

    family = "self-training"
    objectives = ("segmentation",)
    paper = "zou2018cbst"
    weight: float = positive(default=1.0, zero=True, search=(0.3, 1.0), doc="trade-off of the labels of one's own")
    first: float = positive(default=0.2, zero=True, most=1, doc="part of the pixels of each class at the beginning")
    last: float = positive(default=0.5, zero=True, most=1, doc="and at the end")
    start: float = positive(default=0.3, zero=True, below=1, doc="part of training before the labels count")

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        with torch.no_grad():
            labels = balanced_labels(target.prediction, self.first + (self.last - self.first) * progress)
        told = torch.as_tensor(progress, device=labels.device) >= self.start
        weight = self.weight * told * torch.ones_like(labels, dtype=torch.float32)
        return {"self_training": weighed_cross_entropy(target.prediction, labels, weight)}
