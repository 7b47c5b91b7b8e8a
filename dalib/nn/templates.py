"""Class templates from rows that a classifier is sure of."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from dalib.nn.entropy import prediction_entropy


def adjust_templates(weight: Tensor, bias: Tensor, z: Tensor, count: int) -> Tensor:
    """Templates (K, d) of unit length: by class the sum of the `count` surest rows, each of unit length.

    Rows are those of the head's weight (K, d) and of z (n, d); a row's class is argmax of (z weightᵀ + bias), and it is
    surer the lower the entropy of their softmax; equally sure ones count in this order. count 0 = all. A class without
    a row keeps the head's weight. Iwasawa & Matsuo. Test-Time Classifier Adjustment Module for Model-Agnostic Domain
    Generalization. NeurIPS 2021.
    """
    rows = torch.cat([weight, z])
    logits = rows @ weight.T + bias
    sure, label = prediction_entropy(logits), logits.argmax(1)
    templates = []
    for k in range(len(weight)):
        own = (label == k).nonzero()[:, 0]
        kept = own[sure[own].argsort(stable=True)[: count or len(own)]]
        templates.append(normalize(rows[kept], dim=1).sum(0) if len(kept) else weight[k])
    return normalize(torch.stack(templates), dim=1)
