"""Two projections, one for each domain, that are solved for together, in float64."""

from __future__ import annotations

import torch
from torch import Tensor


def class_scatters(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """z (n, d), y (n,) -> F_b (d, classes of y) with F_b F_bᵀ = between-class scatter S_b, within-class scatter S_w.

    S_b = sum_c n_c (m_c - m)(m_c - m)ᵀ,  S_w = sum_i (z_i - m_y(i))(z_i - m_y(i))ᵀ
    """
    _, y = y.unique(return_inverse=True)
    n = y.bincount().to(z)
    means = torch.zeros(len(n), z.shape[1]).to(z).index_add(0, y, z) / n[:, None]
    within = z - means[y]
    return (means - z.mean(0)).T * n.sqrt(), within.T @ within


def couple_projections(
    z_s: Tensor, y_s: Tensor, z_t: Tensor, E: Tensor, weight: float, mu: float, beta: float, k: int
) -> tuple[Tensor, Tensor]:
    """A, B (d, min(k, classes + min(d, n_t))) for source and target rows: leading solutions of S_max w = theta S_min w.

    S_max = [[beta S_b, 0], [0, mu S_t]],  w = column of [A; B]
    S_min = [[D_s D_sᵀ + weight I + beta S_w, D_s D_tᵀ - weight I], [D_t D_sᵀ - weight I, D_t D_tᵀ + (weight + mu) I]]

    z_s (n_s, d), y_s (n_s,), z_t (n_t, d); S_t scatter of z_t, S_b and S_w those of the source classes; D_s = z_sᵀ E_s,
    D_t = z_tᵀ E_t, E (n_s + n_t, m) from `mean_contrasts`; weight, mu, beta > 0. Largest theta first, columns [A; B]
    have unit length (zero where theta is), signs are arbitrary.
    Zhang, Li & Ogunbona. Joint Geometrical and Statistical Alignment for Visual Domain Adaptation. CVPR 2017.
    arXiv:1705.05498. With S_max = F Fᵀ, F (2d, classes + min(d, n_t)), and S_min = L Lᵀ the problem is that of
    P Pᵀ for P = Fᵀ L^(-ᵀ), of no more rows than S_max has non-zero eigenvalues.
    """
    from scipy.linalg import eigh

    F_b, S_w = class_scatters(z_s, y_s)
    F_t = torch.linalg.qr(z_t - z_t.mean(0), mode="r").R.T
    F = torch.block_diag(beta**0.5 * F_b, mu**0.5 * F_t)
    D = torch.cat([z_s.T @ E[: len(z_s)], z_t.T @ E[len(z_s) :]])
    same = torch.eye(z_s.shape[1]).to(D)
    blocks = torch.block_diag(beta * S_w, mu * same) + weight * torch.kron(torch.tensor([[1, -1], [-1, 1]]).to(D), same)
    L = torch.linalg.cholesky(D @ D.T + blocks)
    P = torch.linalg.solve_triangular(L, F, upper=False).T
    n = len(P)
    _, U = eigh((P @ P.T).cpu().numpy(), subset_by_index=[max(n - k, 0), n - 1])
    v = P.T @ torch.from_numpy(U).to(P).flip(1)
    v = torch.where(v.norm(dim=0) > 1e-7 * P.norm(), v, 0.0)
    W = torch.nn.functional.normalize(torch.linalg.solve_triangular(L.T, v, upper=True), dim=0)
    A, B = W.chunk(2)
    return A, B
