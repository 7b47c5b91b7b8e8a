"""How far apart two samples lie, or the classes of one."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.nn.episodes import class_means


def a_distance(z_s: Tensor, z_t: Tensor) -> float:
    """2 (1 - 2 error) in [0, 2] of a linear support vector machine between the samples, on its own training rows.

    z_s (n_s, d), z_t (n_t, d), scaled together to a mean variance of 1, so that the unit of z does not matter; C = 1,
    squared hinge. On training rows two small samples are always apart: compare only distances of like sizes.
    Ben-David et al. A theory of learning from different domains. Machine Learning 2010. doi:10.1007/s10994-009-5152-4.
    """
    from sklearn.svm import LinearSVC

    z = torch.cat([z_s, z_t]).detach().double().cpu()
    z = z - z.mean(0)
    z = z / z.square().mean().sqrt().clamp(min=torch.finfo(z.dtype).tiny)
    domain = (torch.arange(len(z)) >= len(z_s)).numpy()
    error = (LinearSVC(C=1.0, dual=False, random_state=0).fit(z.numpy(), domain).predict(z.numpy()) != domain).mean()
    return max(2 * (1 - 2 * float(error)), 0.0)


def estimate_balance(z_s: Tensor, y_s: Tensor, z_t: Tensor, y_t: Tensor) -> float:
    """mu = d_C / (d_C + d_M) in [0, 1]: the share of the classes' A-distance; 0.5 where both are 0.

    d_M = A-distance of z_s (n_s, d) and z_t (n_t, d), d_C = mean of those of the classes that y_s and y_t share.
    Wang et al. Visual Domain Adaptation with Manifold Embedded Distribution Alignment. ACM MM 2018. arXiv:1807.07258.
    The mean over classes is that of the authors' release; the paper has their sum.
    """
    shared = [c for c in y_s.unique() if (y_t == c).any()]
    d_M = a_distance(z_s, z_t)
    d_C = sum(a_distance(z_s[y_s == c], z_t[y_t == c]) for c in shared) / max(len(shared), 1)
    return d_C / (d_C + d_M) if d_C + d_M > 0 else 0.5


def near_own_mean(z: Tensor, y: Tensor) -> float:
    """The part of rows z (n, d) whose nearest class mean is their own class's; y (n,)."""
    means, at = _class_means(z, y)
    return float((torch.cdist(z, means).argmin(1) == at).double().mean())


def deviation_in_classes(z: Tensor, y: Tensor) -> Tensor:
    """Standard deviation () of one column z (n, 1) around the means of its classes; of all of z where they are points.

    What a column that can only be scaled is scaled by, so that a classifier's regularisation sees no unit. > 0.
    """
    means, at = _class_means(z, y)
    inside, whole = (z - means[at]).square().mean().sqrt(), z.std(correction=0)
    return torch.where(inside > 1e-6 * whole, inside, whole).clamp(min=torch.finfo(z.dtype).tiny)


def _class_means(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(mean of every class that occurs, row -> its class's place there)."""
    classes, at = y.to(z.device).unique(return_inverse=True)
    return class_means(z, at, len(classes))[0], at
