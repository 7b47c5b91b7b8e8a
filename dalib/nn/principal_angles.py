"""Bases of what batches of features span, the angles between them, and the inverse of their Gram matrices."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dalib.nn.discrepancy import as_float
from dalib.nn.known_gradients import quick_to_call

BROADENING = 1e-3
"""Gaps between singular values below this part of the largest squared one hardly count in gradients of bases."""


@quick_to_call
class _SVD(torch.autograd.Function):
    """A (m, n) -> U, s, V of its min(m, n) triplets; 1 / x in the gradient is x / (x² + eps²), so equal ones are 0."""

    generate_vmap_rule = True

    @staticmethod
    def forward(A: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        U, s, Vh = torch.linalg.svd(A, full_matrices=False)
        return U, s, Vh.mT

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, ...]) -> None:
        ctx.save_for_backward(*output)

    @staticmethod
    def backward(ctx: Any, gU: Tensor, gs: Tensor, gV: Tensor) -> Tensor:  # type: ignore[override]
        U, s, V = ctx.saved_tensors
        square = s.square()
        eps = BROADENING * square.amax(-1, keepdim=True)[..., None]
        F = _invert(square[..., None, :] - square[..., :, None], eps)
        inverse = _invert(s, eps[..., 0].sqrt())
        J, L = F * (U.mT @ gU), F * (V.mT @ gV)
        inside = (J + J.mT) * s[..., None, :] + s[..., :, None] * (L + L.mT) + torch.diag_embed(gs)
        beside_U, beside_V = gU - U @ (U.mT @ gU), gV - V @ (V.mT @ gV)
        return U @ inside @ V.mT + (beside_U * inverse[..., None, :]) @ V.mT + (U * inverse[..., None, :]) @ beside_V.mT


def _invert(x: Tensor, eps: Tensor) -> Tensor:
    return x / (x.square() + eps.square()).clamp(min=torch.finfo(x.dtype).tiny)


def subspace_distance(z_s: Tensor, z_t: Tensor, mismatch: float = 0.1) -> Tensor:
    """How far apart are the subspaces that two batches span, and the order of their bases; a scalar >= 0.

    sum_i sin(theta_i) + mismatch * || |P_s| - |P_t| ||_F,  U_sᵀ U_t = P_s diag(cos theta) P_tᵀ
    U = the k leading left singular vectors of zᵀ (d, B), k = min(B_s, B_t, d // 2), at least 1

    z (B, d) of either domain; fp32 or float64. Chen et al. Representation Subspace Distance for Domain Adaptation
    Regression. ICML 2021, as in the authors' code. Departures: at most half of the dimensions are compared (B or more
    would span everything, and no angle is left); singular values that nearly agree have gradients that stay finite.
    """
    z_s, z_t = as_float(z_s), as_float(z_t)
    k = max(1, min(len(z_s), len(z_t), z_s.shape[1] // 2))
    U_s, U_t = (_SVD.apply(z.mT)[0][:, :k] for z in (z_s, z_t))
    P_s, cosine, P_t = _SVD.apply(U_s.mT @ U_t)
    sine = (1 - cosine.square()).clamp(min=torch.finfo(cosine.dtype).eps).sqrt()
    apart = (P_s.abs() - P_t.abs()).square().sum()
    return sine.sum() + mismatch * (apart + torch.finfo(apart.dtype).eps).sqrt()


@quick_to_call
class _InverseSquare(torch.autograd.Function):
    """K (b, b) symmetric, kept eigenvalues w (b,) -> U diag(w > 0: 1 / w²) Uᵀ; exact gradient, without 1 / gap inside.

    floor: eigenvalues at or below it count as 0
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(K: Tensor, floor: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        w, U = torch.linalg.eigh(K)
        h = torch.where(w > floor, 1 / torch.where(w > floor, w, 1.0).square(), 0.0)
        return (U * h[..., None, :]) @ U.mT, w, U, h

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*output[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        w, U, h = ctx.saved_tensors
        first, second = w[..., :, None], w[..., None, :]
        kept = (h[..., :, None] > 0) & (h[..., None, :] > 0)
        product = torch.where(kept, first * second, 1.0).square()
        gap = first - second
        eps = BROADENING * w.abs().amax(-1)[..., None, None]
        across = (h[..., :, None] - h[..., None, :]) * _invert(gap, eps * 1e-3)
        weight = torch.where(kept, -(first + second) / product, across)
        return U @ (weight * (U.mT @ gradient @ U)) @ U.mT, None


def gram_distance(
    z_s: Tensor, z_t: Tensor, angle: float = 0.05, scale: float = 0.001, threshold: float = 0.95
) -> Tensor:
    """How the inverse Gram matrices of two batches differ in angle and their leading eigenvalues in size; >= 0.

    angle * mean_j |1 - cos(G_s^+ e_j, G_t^+ e_j)| + scale / k * ||lambda_s[:k] - lambda_t[:k]||
    G = [1 z]ᵀ [1 z] (d + 1, d + 1), G^+ = pseudo-inverse of its k leading eigenvalues lambda
    k = the larger of the two numbers of eigenvalues that hold `threshold` of a trace

    z (B, d) of either domain; fp32 or float64. Nejjar et al. DARE-GRAM: Unsupervised Domain Adaptation Regression by
    Aligning Inverse Gram Matrices. CVPR 2023. arXiv:2303.13325, as in the authors' code, by way of the smaller matrix
    [1 z][1 z]ᵀ (B, B), which has the same eigenvalues: G^+ = Aᵀ (A Aᵀ)^(+2) A. The gradient is that of the truncated
    inverse; torch.linalg.pinv's, which the authors use, leaves out what truncation does.
    """
    z_s, z_t = as_float(z_s), as_float(z_t)
    A_s, A_t = (torch.cat([torch.ones_like(z[:, :1]), z], 1) for z in (z_s, z_t))
    K_s, K_t = A_s @ A_s.mT, A_t @ A_t.mT
    values = [torch.linalg.eigvalsh(K).flip(-1).clamp(min=0) for K in (K_s, K_t)]
    most = min(len(z_s), len(z_t), z_s.shape[1] + 1)
    k = torch.maximum(*(_count(v.detach(), threshold) for v in values)).clamp(max=max(most - 1, 1))
    inverses = []
    for A, K, v in zip((A_s, A_t), (K_s, K_t), values, strict=True):
        ordered = v.detach()
        rounding = torch.finfo(v.dtype).eps * len(v) * ordered[0]
        between = ordered.gather(0, torch.stack([k - 1, k]).clamp(max=len(v) - 1)).mean()
        floor = torch.where(k < len(v), between, 0.0)
        inverses.append(A.mT @ _InverseSquare.apply(K, torch.maximum(floor, rounding))[0] @ A)
    cosine = torch.cosine_similarity(inverses[0], inverses[1], dim=0, eps=1e-6)
    leading = (torch.arange(most, device=k.device) < k).to(K_s.dtype)
    apart = ((values[0][:most] - values[1][:most]) * leading).square().sum()
    size = (apart + torch.finfo(apart.dtype).eps).sqrt() / k
    return angle * (1 - cosine).abs().mean() + scale * size


def _count(values: Tensor, threshold: float) -> Tensor:
    """The position () of the last eigenvalue, of falling ones (b,), up to which they hold no more than `threshold`."""
    share = values.cumsum(0) / values.sum().clamp(min=torch.finfo(values.dtype).tiny)
    at = torch.clamp(share[min(1, len(share) - 1)], min=threshold)
    return (share <= at).sum().clamp(min=2) - 1
