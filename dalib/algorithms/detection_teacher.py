"""A teacher's sure boxes on target pictures are what the student learns there, from other colours."""

import torch
from torch import Tensor

from dalib.algorithms._teacher import Taught
from dalib.core.algorithm import Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.boxes import NONE, take_sure
from dalib.nn.seen import as_seen


class DetectionTeacher(Taught):
    """Mean-teacher self-training of a detector, the unbiased teacher's way.

    loss = detection + weight * [progress >= burn_in] * (objectness + class of the strong view for the teacher's boxes)
    boxes: what the teacher finds in the mild view, cut out alike, with a score above `threshold`; a picture without any
    is left out of both means, for it would teach that all of it is background
    after step n = 0, 1, …:  teacher := a * teacher + (1 - a) * student,  a = min(1 - 1 / (n + 1), decay)

    The place of the teacher's boxes is not learnt, as it is less sure than their class. The teacher predicts. Summed
    with `da_faster` it is about the adaptive teacher (arXiv:2111.13216: an adversary on the student's maps beside it).

    Shapes
        prediction: what the detector sees; the teacher's boxes (B, D, 6)
    Reference
        Liu et al. Unbiased Teacher for Semi-Supervised Object Detection. ICLR 2021. arXiv:2102.09480, read in its code
        and in the adaptive teacher's. Departures: pictures without a sure box are left out (in both codes they are
        background throughout; the burn-in there is 12 000 steps by default); the teacher is the average from the first
        step on (there: a copy of the student after the burn-in); the source is shown in one view (there: a mild and a
        strong one); cross-entropy in place of a focal loss on classes (as in the adaptive teacher); `weight` 1 (there:
        4); `decay` 0.99 for some hundred steps (there: 0.9996); the recipe's strong view.
    """

    family = "self-training"
    objectives = ("detection",)
    undivided = "regions of a batch are not put together from several processes"
    paper = "liu2021unbiased"
    version = 2
    views = 2
    trial = {"threshold": 0.0}
    weight: float = positive(default=1.0, zero=True, search=(0.3, 1.0, 4.0), doc="trade-off of the target's terms")
    threshold: float = positive(default=0.7, zero=True, most=1, search=(0.5, 0.7, 0.8), doc="score of a sure box")
    burn_in: float = positive(default=0.2, zero=True, below=1, doc="part of training before the teacher is listened to")
    decay: float = positive(default=0.99, zero=True, below=1, doc="most of itself that the teacher keeps in a step")

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        with torch.no_grad():
            y = take_sure(self.teacher(target.x)[1].boxes(), self.threshold)
        sure = (y[..., 0] != NONE).any(1) & (torch.as_tensor(progress, device=y.device) >= self.burn_in)
        if not sure.any():
            return {"pseudo": 0 * source.z.sum()}
        told = as_seen(target.strong.prediction)[sure].losses(y[sure])
        return {"pseudo": self.weight * (told["objectness"] + told["classifier"])}
