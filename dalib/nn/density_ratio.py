"""Ratio of two densities, estimated from a sample of each."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.nn.classifiers import fit_classifier

_LIMIT = 50.0
"""Largest |log weight|: weights and their squares stay finite."""


def discriminative_weights(z_s: Tensor, z_t: Tensor, C: float = 1.0) -> Tensor:
    """w_i = ((n_s - 1) / n_t) * P(target | z_i) / P(source | z_i), an estimate of p_t(z_i) / p_s(z_i) at source rows.

    P is a logistic regression of the domain on z, and its log-odds at row i are those of the fit without row i: one
    Newton step from the full fit, f_i + p_i h_i / (1 - p_i (1 - p_i) h_i), h_i = C x_iᵀ H⁻¹ x_i with H its Hessian.
    Odds at rows that were fitted are too small, the more so the fewer rows there are per feature.
    z_s (n_s, d), z_t (n_t, d) -> (n_s,) float64 > 0, constant; nan with fewer than two source rows, no target row or a
    value that is not finite. C > 0 is the inverse ridge of `fit_classifier`, with z centred and scaled to a mean square
    length of 1, so neither units nor rotations of z matter; at 1, log-ratios of about 1 are expected beforehand.
    Bickel et al. Discriminative Learning for Differing Training and Test Distributions. ICML 2007.
    """
    n_s, n_t = len(z_s), len(z_t)
    z = torch.cat([z_s, z_t]).detach().double()
    if n_s < 2 or not n_t or not z.isfinite().all():
        return z.new_full((n_s,), torch.nan)
    z = z / z.abs().max().clamp(min=torch.finfo(z.dtype).tiny)
    z = z - z.mean(0)
    x = z / z.square().sum(1).mean().sqrt().clamp(min=1e-12)
    if x.shape[1] > len(x):  # the same inner products in fewer columns
        x = torch.linalg.qr(x.T).R.T
    domain = (torch.arange(len(x), device=x.device) >= n_s).long()
    state = fit_classifier("logistic", x, domain, C, 2)
    f = x @ (state["weight"][1] - state["weight"][0]) + state["bias"][1] - state["bias"][0]
    p = f.sigmoid()
    v = p * (1 - p)
    x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    ridge = torch.ones_like(x[0])
    ridge[-1] = 0  # the bias is not penalised
    H = C * (x * v[:, None]).T @ x + ridge.diag()
    root = torch.linalg.cholesky(H)
    h = C * torch.linalg.solve_triangular(root, x[:n_s].T, upper=False).square().sum(0)
    left_out = f[:n_s] + p[:n_s] * h / (1 - v[:n_s] * h).clamp(min=1e-6)
    prior = z.new_tensor((n_s - 1) / n_t).log()
    return (left_out + prior).clamp(-_LIMIT, _LIMIT).exp()
