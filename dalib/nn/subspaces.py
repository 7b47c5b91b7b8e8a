"""Linear subspaces of two samples: principal axes and the geodesic between them, in float64."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dalib.nn.linalg import gram


def principal_axes(z: Tensor, k: int) -> Tensor:
    """z (n, d) -> orthonormal directions of largest variance (d, min(k, n, d)), largest first; signs are arbitrary."""
    return torch.linalg.svd(z - z.mean(0), full_matrices=False).Vh[:k].T


def count_axes(z: Tensor, part: float = 0.95) -> int:
    """The least number of principal axes of z (n, d) that hold `part` of the rows' variance; 1 where there is none."""
    centred = z - z.mean(0)
    return count_share(np.linalg.eigvalsh(gram(centred if len(z) < z.shape[1] else centred.T).cpu().numpy()), part)


def count_share(values: np.ndarray, part: float) -> int:
    """How many of the largest eigenvalues hold `part` of the sum of the positive ones; values ascend, at least 1."""
    held = np.cumsum(np.clip(values, 0, None)[::-1])
    return min(int((held < part * held[-1]).sum()) + 1, len(values))


def geodesic_flow(P_s: Tensor, P_t: Tensor) -> Tensor:
    """W (d, 2k) with W Wᵀ = G, the geodesic flow kernel between two subspaces with orthonormal bases (d, k).

    G = integral over t in [0, 1] of Phi(t) Phi(t)ᵀ,  Phi(t) = S cos(t Theta) + R sin(t Theta)
    P_sᵀ P_t = U cos(Theta) Vᵀ,  S = P_s U,  R sin(Theta) = P_t V - S cos(Theta)

    Gong et al. Geodesic Flow Kernel for Unsupervised Domain Adaptation. CVPR 2012. doi:10.1109/CVPR.2012.6247911.
    Departures: the residual replaces the basis of the orthogonal complement, so that k may exceed d / 2;
    the 2 x 2 block of every angle is factored, so that no d x d root is needed.
    """
    U, cosine, Vh = torch.linalg.svd(P_s.T @ P_t)
    S = P_s @ U
    residual = P_t @ Vh.T - S * cosine
    sine = residual.norm(dim=0)
    R = torch.where(sine > 1e-12, residual / sine.clamp(min=1e-12), 0.0)
    theta = torch.atan2(sine, cosine)
    ratio = torch.where(theta > 1e-6, (2 * theta).sin() / (2 * theta).clamp(min=1e-12), 1.0)
    cross = theta.sin() ** 2 / (2 * theta).clamp(min=1e-12)
    blocks = torch.stack([torch.stack([(1 + ratio) / 2, cross], -1), torch.stack([cross, (1 - ratio) / 2], -1)], -2)
    values, vectors = torch.linalg.eigh(blocks)
    roots = vectors * values.clamp(min=0).sqrt()[:, None]
    return torch.cat([S * roots[:, 0, i] + R * roots[:, 1, i] for i in (0, 1)], 1)
