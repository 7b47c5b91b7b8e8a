"""Linear subspaces of two samples: principal axes and the geodesic between them, in float64."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dalib.nn.linalg import gram


def principal_axes(z: Tensor, k: int) -> Tensor:
    """z (n, d) -> orthonormal directions of largest variance (d, min(k, rank)), largest first; signs are arbitrary.

    The rank is that of the centred rows, at most n - 1: an axis without variance would be whichever rounding chooses.
    Where no row differs from another, it is one column of zeros.
    """
    _, s, Vh = torch.linalg.svd(z - z.mean(0), full_matrices=False)
    rank = min(int((s > torch.finfo(z.dtype).eps * max(z.shape) * z.norm()).sum()), len(z) - 1)
    return Vh[: min(k, rank)].T if rank else torch.zeros_like(Vh[:1].T)


def paired_axes(z_s: Tensor, z_t: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`principal_axes` of either sample, as many of both: (d, k'), k' = min(k, the smaller rank), at least 1."""
    P_s, P_t = principal_axes(z_s, k), principal_axes(z_t, k)
    k = min(P_s.shape[1], P_t.shape[1])
    return P_s[:, :k], P_t[:, :k]


def count_axes(z: Tensor, part: float = 0.95) -> int:
    """The least number of principal axes of z (n, d) that hold `part` of the rows' variance; 1 where there is none."""
    centred = z - z.mean(0)
    return count_share(np.linalg.eigvalsh(gram(centred if len(z) < z.shape[1] else centred.T).cpu().numpy()), part)


def count_share(values: np.ndarray, part: float) -> int:
    """How many of the largest eigenvalues hold `part` of the sum of the positive ones; values ascend, at least 1."""
    held = np.cumsum(np.clip(values, 0, None)[::-1])
    return min(int((held < part * held[-1]).sum()) + 1, len(values))


def align_spectrally(z_s: Tensor, z_t: Tensor, pivots: int, clusters: int) -> tuple[Tensor, Tensor]:
    """Columns that are no pivots (r,) int64, and the largest eigenvectors of the graph of what occurs together (r, k).

    A column occurs in a row where it is > 0. Pivots are the min(pivots, d // 2) columns of the largest smaller count of
    the two domains (equal counts: the first). M_ij = rows that hold the i-th of the rest and the j-th pivot. With
    A = [[0, M], [Mᵀ, 0]] and D = diag(A 1), the k largest unit eigenvectors of D^(-1/2) A D^(-1/2) are (u_i, v_i) /
    sqrt 2 of the singular vectors of D_1^(-1/2) M D_2^(-1/2); k = min(clusters, the number of values > 0); signs are
    arbitrary.

    Shapes
        z_s (n_s, d), z_t (n_t, d)

    Pan et al. Cross-Domain Sentiment Classification via Spectral Feature Alignment. WWW 2010.
    """
    here, there = (z_s > 0).double(), (z_t > 0).double()
    common = torch.minimum(here.sum(0), there.sum(0))
    order = common.sort(descending=True, stable=True).indices
    count = min(pivots, z_s.shape[1] // 2)
    bridge, rest = order[:count].sort().values, order[count:].sort().values
    M = here[:, rest].T @ here[:, bridge] + there[:, rest].T @ there[:, bridge]
    if not M.any():
        return rest, M.new_zeros(len(rest), 0)
    row, column = (torch.where(D > 0, D.clamp(min=1).rsqrt(), 0.0) for D in (M.sum(1), M.sum(0)))
    U, values, _ = torch.linalg.svd(row[:, None] * M * column, full_matrices=False)
    kept = min(clusters, int((values > 1e-9 * values[0]).sum()))
    return rest, U[:, :kept] / 2**0.5


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
