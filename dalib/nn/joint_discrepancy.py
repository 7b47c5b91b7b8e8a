"""Maximum mean discrepancies that look at features and labels together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dalib.nn.discrepancy import as_float, kernel_scale
from dalib.nn.kernel_means import weigh_pairs, weighted_kernel_sum

Bandwidths = Sequence[float] | Tensor | None
JOINT_ESTIMATORS = ("unbiased", "biased")


def joint_mmd2(
    layers_s: Sequence[Tensor],
    layers_t: Sequence[Tensor],
    bandwidths: Sequence[Bandwidths] | None = None,
    estimator: str = "unbiased",
) -> Tensor:
    """Squared MMD between joint distributions of several layers, with the product of their kernels, a scalar.

    k(i, j) = prod_l sum_u exp(-||x_i^l - x_j^l||² / (2 sigma_lu²)); estimators as in `mmd2`, without `linear`

    Args
        layers_s, layers_t: one (n_s, d_l) and (n_t, d_l) per layer; n_s and n_t may differ
        bandwidths: sigma_u² of each layer; None = those of `mmd2` for that layer (or for all)
    Raises
        ValueError: unknown estimator
    Reference
        Long et al. Deep Transfer Learning with Joint Adaptation Networks. ICML 2017. arXiv:1605.06636 (eq. 9).
        Departures: all pairs (the paper's estimate is linear in n); half-precision input is cast to fp32.
    """
    if estimator not in JOINT_ESTIMATORS:
        raise ValueError(f"no joint MMD estimator named {estimator!r}; known: {', '.join(JOINT_ESTIMATORS)}")
    layers_s, layers_t = ([as_float(z) for z in layers] for layers in (layers_s, layers_t))
    scales = [kernel_scale(z, b) for z, b in zip(layers_s, bandwidths or [None] * len(layers_s), strict=True)]
    return weighted_kernel_sum(weigh_pairs(layers_s[0], layers_t[0], estimator), layers_s, layers_t, scales)


def local_mmd2(z_s: Tensor, z_t: Tensor, y_s: Tensor, p_t: Tensor, bandwidths: Bandwidths = None) -> Tensor:
    """Mean over classes of the squared MMD between rows of one class, a scalar >= 0.

    1/|S| sum_{c in S} ||sum_i w_ic phi(z_s_i) - sum_j v_jc phi(z_t_j)||²; S = labels in y_s that p_t predicts somewhere
    w_ic = [y_s_i = c] / (rows of class c),  v_jc = p_t_jc / sum_j p_t_jc; kernel and bandwidths as in `mmd2`

    Args
        z_s, z_t: (n_s, d), (n_t, d); sizes may differ
        y_s: (n_s,) int64
        p_t: (n_t, K) class probabilities, taken as constant
    Reference
        Zhu et al. Deep Subdomain Adaptation Network for Image Classification. TNNLS 2021. arXiv:2106.09388 (eq. 5-8).
        S is the authors' code's choice (the paper averages over all K); 0 when S is empty.
    """
    z_s, z_t = as_float(z_s), as_float(z_t)
    p = p_t.detach().to(z_s.dtype)
    y = one_hot(y_s, p.shape[1]).to(z_s.dtype)
    shared = (y.sum(0) > 0) & (one_hot(p.argmax(1), p.shape[1]).sum(0) > 0)
    w, v = (x * shared / x.sum(0).clamp(min=torch.finfo(z_s.dtype).tiny) for x in (y, p))
    signed = torch.cat([w, -v])
    w = signed @ signed.T / shared.sum().clamp(min=1)
    return weighted_kernel_sum(w, [z_s], [z_t], [kernel_scale(z_s, bandwidths)])
