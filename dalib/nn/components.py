"""Components of a (kernel) feature space in which two samples have the same means, in float64."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dalib.nn.discrepancy import squared_distances
from dalib.nn.linalg import gram

_LANCZOS_FROM = 400
KERNELS = ("primal", "linear", "rbf")


def make_landmarks(kernel: str, z: Tensor) -> Tensor:
    """z (n, d) -> rows (r, d) against which `kernel_features` gives an equivalent problem of the least width r.

    `primal` none: features are the coordinates themselves. `rbf` all n rows. `linear` all n rows or, of more rows than
        columns, the triangle R (d, d) of z = Q R: a regulariser ||A||² on A (n, k) with z' = k(z, rows) A leaves
        A = Q B, so that ||A||² = ||B||² and z' = (z Rᵀ) B.
    """
    if kernel == "primal":
        return z[:0]
    if kernel == "rbf" or len(z) <= z.shape[1]:
        return z
    return torch.linalg.qr(z, mode="r").R


def kernel_features(kernel: str, z: Tensor, landmarks: Tensor, gamma: float) -> Tensor:
    """z (n, d), landmarks (r, d) -> k(z_i, l_j) (n, r); `rbf`: exp(-gamma ||z_i - l_j||²), else the inner product.

    `primal`: z itself.
    """
    if kernel == "primal":
        return z
    if kernel == "linear":
        return gram(z) if landmarks is z else z @ landmarks.T
    centre = landmarks.mean(0)
    return (-gamma * squared_distances(z - centre, landmarks - centre)).exp()


def mean_contrasts(
    y_s: Tensor, n_t: int, y_t: Tensor | None = None, marginal: float = 1.0, conditional: float = 1.0
) -> Tensor:
    """E (n_s + n_t, m) with M = E Eᵀ, so that tr zᵀ M z weighs the squared distances of means; ||M||_F = 1, or M = 0.

    M ∝ marginal * M_0 + conditional * sum_c M_c,  M_c = e_c e_cᵀ,  zᵀ e_c = mean z_s of class c - mean z_t of class c

    y_s (n_s,) labels; y_t (n_t,) pseudo-labels, None = M_0 only; a class without one is left out; weights >= 0.
    Long et al. Transfer Feature Learning with Joint Distribution Adaptation. ICCV 2013. doi:10.1109/ICCV.2013.274.
    """
    s, t = torch.ones_like(y_s, dtype=torch.float64), torch.ones(n_t, dtype=torch.float64, device=y_s.device)
    columns = [marginal**0.5 * torch.cat([s / len(s), -t / n_t])]
    for c in [] if y_t is None else y_s.unique():
        s, t = (y_s == c).double(), (y_t == c).double()
        if t.any():
            columns.append(conditional**0.5 * torch.cat([s / s.sum(), -t / t.sum()]))
    E = torch.stack(columns, 1)
    return E / (E.T @ E).norm().sqrt().clamp(min=torch.finfo(E.dtype).tiny)


def transfer_components(phi: Tensor, E: Tensor, reg: float, k: int) -> Tensor:
    """W (r, min(k, rank)) = argmax tr Wᵀ phiᵀ H phi W subject to Wᵀ (phiᵀ E Eᵀ phi + reg I) W = I, H = I - 11ᵀ/n.

    phi (n, r) features of both domains' rows, E (n, m) from `mean_contrasts`, reg > 0: leading eigenvectors of the
    symmetric-definite problem phiᵀ H phi w = eta (phiᵀ E Eᵀ phi + reg I) w, largest eta first; signs are arbitrary.
    Those whose eta is no more than rounding, which would choose them, are left out: the rank is that of H phi, at most
    n - 1. Where no row differs from another, it is one column of zeros.
    Pan et al. Domain Adaptation via Transfer Component Analysis. TNN 2011. doi:10.1109/TNN.2010.2091281. The
    scale is that of the generalised problem. Long et al. (2013) write Wᵀ phiᵀ H phi W = I, which whitens: their
    published digits come out exactly at this scale, and 27 to 33 points lower whitened.
    """
    vectors = _lead_whitened(phi.cpu().numpy(), (phi.T @ E).cpu().numpy(), reg, k)
    return torch.from_numpy(vectors[:, ::-1].copy()).to(phi.device)


def _lead_whitened(phi: np.ndarray, F: np.ndarray, reg: float, k: int) -> np.ndarray:
    """The last k eigenvectors w, wᵀ B w = 1, of phiᵀ H phi w = eta B w for B = F Fᵀ + reg I; phi (n, r), F (r, m);
    fewer where eta is 0.

    Few of many are Lanczos': B^(-1/2) is I / sqrt(reg) and a part of rank m. Where the last of them is no more than
    rounding beside the first, or k is not small, LAPACK solves the whole problem.
    """
    from scipy.linalg import eigh
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    n, r = phi.shape
    few = r >= _LANCZOS_FROM and k <= r // 16
    scatter = None if few and n <= r else _scatter(phi)
    if few:
        U, s, _ = np.linalg.svd(F, full_matrices=False)
        less = 1 - np.sqrt(reg / (reg + s**2))

        def half(v: np.ndarray) -> np.ndarray:
            return np.asarray(v - U @ (less * (U.T @ v)))

        def apply(v: np.ndarray) -> np.ndarray:
            v = half(v.ravel())
            if scatter is not None:
                return half(scatter @ v) / reg
            moved = phi @ v
            return half((moved - moved.mean()) @ phi) / reg

        try:
            values, v = eigsh(LinearOperator((r, r), apply, dtype=phi.dtype), k, v0=np.ones(r), which="LA")
        except ArpackError:
            values = np.zeros(k)
        if values[0] > 1e-8 * values[-1]:
            return np.asarray((v - U @ (less[:, None] * (U.T @ v))) / reg**0.5)
    A = _scatter(phi) if scatter is None else scatter
    values, w = eigh(A, F @ F.T + reg * np.eye(r), subset_by_index=[max(r - k, 0), r - 1])
    rounding = np.finfo(np.float64).eps * max(n, r)
    least = max(rounding * np.linalg.norm(A), (rounding * np.linalg.norm(phi)) ** 2)
    kept = values > least * np.square(w).sum(0)  # wᵀ A w is known to so much
    kept[: max(len(kept) - (n - 1), 0)] = False
    return np.asarray(w[:, kept]) if kept.any() else np.zeros((r, 1))


def _scatter(phi: np.ndarray) -> np.ndarray:
    """phiᵀ H phi (r, r)."""
    centred = phi - phi.mean(0)
    return np.asarray(centred.T @ centred)


def match_jointly(z: Tensor, n_s: int, E: Tensor, reg: float, k: int, iterations: int) -> Tensor:
    """Directions (d, min(k, rank)) of the linear kernel's components, with source rows reweighted along the way.

    argmin tr Aᵀ K M K A + reg * (sum of ||a_i|| over source rows + sum of ||a_i||² over target rows), K = z zᵀ, by
    repeated solutions with the regulariser tr Aᵀ G A: G_i = 1 at first and for target rows, then 1 / (2 ||a_i||)

    z (n, d): the n_s source rows first; E (n, m) from `mean_contrasts`, M = E Eᵀ; the embedding K A is z @ directions.
    Long et al. Transfer Joint Matching for Unsupervised Domain Adaptation. CVPR 2014. doi:10.1109/CVPR.2014.183.
    With F = z V (z = U D Vᵀ), S = Fᵀ G^(-1) F = T Tᵀ and A = G^(-1) F T^(-T) B, the n x n problem is one of width d
    at most: features F T, regulariser reg ||B||².
    """
    V = torch.linalg.svd(z, full_matrices=False).Vh.T
    F = z @ V
    weight = torch.ones(len(z), dtype=z.dtype, device=z.device)
    for _ in range(iterations):
        values, Q = torch.linalg.eigh(F.T @ (weight[:, None] * F))
        kept = values > 1e-12 * values[-1]
        root, Q = values[kept].sqrt(), Q[:, kept]
        B = transfer_components(F @ (Q * root), E, reg, k)
        A = weight[:, None] * (F @ (Q / root @ B))
        weight[:n_s] = (2 * A[:n_s].norm(dim=1)).clamp(min=1e-8)
    return V @ (Q * root) @ B
