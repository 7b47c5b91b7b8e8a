"""Couple source and target rows by optimal transport of features and labels together."""

import torch
from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive
from dalib.core.types import Source, Target
from dalib.nn.discrepancy import squared_distances
from dalib.nn.transport import emd


class DeepJDOT(Algorithm):
    """Joint distribution optimal transport, solved exactly in every batch.

    loss = CE(logits_s, y_s) + <P, cost>,  P = argmin_P <P, cost> with uniform marginals, constant
    cost_ij = alpha * ||z_s_i - z_t_j||² + lam * CE(y_s_i, logits_t_j)

    Shapes
        z (B, d), logits (B, K), y (B,)
    Reference
        Damodaran et al. DeepJDOT: Deep Joint Distribution Optimal Transport for Unsupervised Domain Adaptation.
        ECCV 2018. arXiv:1803.10081. Defaults: the authors' SVHN to MNIST script, with source batches that are
        class-balanced as in the paper (sampler = "class_balanced"). Departures: no alternation, as P is found anew for
        the features of every step; P is found with the label cost that the loss has (the authors' code: with
        lam * ||onehot(y_s_i) - softmax(logits_t_j)||², while its loss has the cross-entropy).

    The exact solver runs on the CPU, so every step waits for the device once; a CUDA graph cannot hold it.
    """

    family = "optimal transport"
    objectives = ("classification",)
    paper = "damodaran2018deepjdot"
    recipe = {"sampler": "class_balanced"}
    alpha: float = positive(default=0.001, zero=True, search=(0.001, 0.01, 0.1), doc="weight of the feature distance")
    lam: float = positive(default=0.0001, zero=True, search=(0.0001, 0.01), doc="weight of the label loss")

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        z = torch.cat([source.z, target.z])
        z_s, z_t = (z - z.detach().mean(0)).split([len(source), len(target)])
        label = -target.logits.log_softmax(1).T[source.y]
        cost = self.alpha * squared_distances(z_s, z_t) + self.lam * label
        plan = emd(torch.where(cost.isfinite(), cost, 0.0))
        return {"transport": (plan * cost).sum()}
