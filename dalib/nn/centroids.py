"""Labels from class centroids of a whole domain."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot


def centroid_labels(z: Tensor, p: Tensor, rounds: int = 2) -> Tensor:
    """The class whose centroid is nearest by cosine, (n,) int64, after `rounds` of centroids and labels.

    c_k = sum_i p_ik z'_i / sum_i p_ik,  z' = [z, 1] of length 1;  y_i = argmax_k cos(z'_i, c_k);  p := one-hot(y)

    z (n, d) features, p (n, K) probabilities; a class that was no row's label in the round before (argmax p in the
    first) is no candidate, so that a class can vanish and none is without rows. Liang et al. Do We Really Need to
    Access the Source Data? ICML 2020. arXiv:2002.08546 (eq. 4-6), as corrected in the authors' code: candidates are
    counted anew in each round, where a class emptied by the first round used to leave a centroid of 0/0.
    """
    z = normalize(torch.cat([z, torch.ones_like(z[:, :1])], 1), dim=1)
    y = p.argmax(1)
    for _ in range(rounds):
        empty = one_hot(y, p.shape[1]).sum(0) == 0
        cosine = z @ normalize(p.T @ z, dim=1).T
        y = cosine.masked_fill(empty, -torch.inf).argmax(1)
        p = one_hot(y, p.shape[1]).to(z.dtype)
    return y
