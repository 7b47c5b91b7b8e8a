"""Train the new layers on the frozen backbone, then fine-tune everything from there."""

from __future__ import annotations

from dalib.algorithms._probe import ProbeFirst
from dalib.core.hyper import positive


class LpFt(ProbeFirst):
    """Linear probing, then fine-tuning: a head that fits already leaves the pretrained features almost as they are.

    1  backbone frozen, its batch norms with pretrained statistics:  loss = CE(logits_s, y_s)
    2  everything, from where 1 ended:                               loss = CE(logits_s, y_s)

    Shapes
        logits (B, K), y (B,)
    Reference
        Kumar et al. Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution. ICLR 2022.
        arXiv:2202.10054. Departures: the probe descends, with the recipe's augmentation and schedule, on the head and
        the bottleneck (there: the head alone, solved as a logistic regression), for a part of the steps. The recipe's
        batch_norm = "eval" keeps pretrained statistics in phase two as well.
    """

    family = "fine-tuning"
    paper = "kumar2022lpft"

    probe: float = positive(default=0.5, below=1, search=(0.2, 0.5, 0.8), doc="part of the steps spent on phase one")
