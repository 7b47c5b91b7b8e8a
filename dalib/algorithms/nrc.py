"""Adapt a trained model without the source: a row shall be called what its neighbours in the target are called."""

import torch
from torch import Tensor

from dalib.algorithms._memory import TargetMemory
from dalib.core.algorithm import Terms
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.entropy import entropy
from dalib.nn.neighbours import agreement, nearest_rows


class NRC(TargetMemory):
    """Neighbourhood reciprocity clustering: phase one on the source, phase two on the unlabelled target only.

    1  loss = CE(logits_s, y_s)
    2  loss = -mean_i sum_{k in N_i} A_ik <q_k, p_i> - affinity * mean_i sum_{k in N_i} sum_{m in E_k} <q_m, p_i>
              - H(mean_i p_i),  p = softmax(logits_t)
    N_i: the `neighbours` rows of the target nearest to i by cosine, E_k: the `expanded` nearest to k; q their stored
    predictions;  A_ik = 1 if i is in E_k, else `affinity`

    Shapes
        z (B, d), logits (B, K), y (B,); memory: z (n, d) and p (n, K) of every target row
    Reference
        Yang et al. Exploiting the Intrinsic Neighborhood Structure for Source-free Domain Adaptation. NeurIPS 2021.
        arXiv:2110.04202. Defaults and the self-regularisation, which is i's own place in E_k, as in the authors' code
        for Office-Home. Departures: no larger neighbourhoods in the second half; the recipe's learning rates, times
        0.1 by default (3e-3; theirs 1e-3); no smoothed labels in phase one.
    """

    family = "source-free"
    setting = "source-free"
    paper = "yang2021nrc"
    neighbours: int = whole(default=4, search=(2, 3, 4, 5), doc="rows that are listened to")
    expanded: int = whole(default=3, search=(2, 3, 4), doc="rows of each of them that are listened to as well")
    affinity: float = positive(
        default=0.1, zero=True, most=1, search=(0.0, 0.1, 0.3), doc="weight of neighbours that are not mutual"
    )

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        p = target.logits.softmax(1)
        with torch.no_grad():
            z, memory_z, memory_p, own = self.remember(target)
            near = nearest_rows(z, memory_z, own, self.neighbours)
            further = nearest_rows(memory_z[near], memory_z, near, self.expanded)
            mutual = (further == own[:, None, None]).any(2).to(p.dtype)
            weight = self.affinity + (1 - self.affinity) * mutual
            next_but_one = memory_p[further].flatten(1, 2)
        mean = p.mean(0).clamp(min=torch.finfo(p.dtype).tiny)
        return {
            "neighbours": -agreement(p, memory_p[near], weight),
            "expanded": -self.affinity * agreement(p, next_but_one),
            "diversity": -entropy(mean),
        }
