"""How far a pseudo-label can be trusted: the data's own clusters and the model's word together."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def mixture_log_posterior(z: Tensor, gamma: Tensor, weight: Tensor, ridge: float = 1e-6) -> Tensor:
    """log P(component k | z_i) (n, K) of a Gaussian mixture whose means and sizes are gamma's.

    mu_k = sum_i gamma_ik z_i / pi_k,  pi_k = sum_i gamma_ik
    S_k = sum_i w_ik (z_i - mu_k)(z_i - mu_k)ᵀ / sum_i w_ik + ridge I

    z (n, d), gamma (n, K) >= 0, weight w (n, K) >= 0; computed in float64. A component without rows has probability 0.
    """
    z, gamma, weight = z.double(), gamma.double(), weight.double()
    size = gamma.sum(0)
    tiny = torch.finfo(z.dtype).tiny
    scores = []
    for k in range(gamma.shape[1]):
        away = z - gamma[:, k] @ z / size[k].clamp(min=tiny)
        w = weight[:, k]
        covariance = away.T @ (w[:, None] * away) / w.sum().clamp(min=tiny)
        eye = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        factor, failed = torch.linalg.cholesky_ex(covariance + ridge * eye)
        if bool(failed):
            factor = torch.linalg.cholesky(covariance + 101 * ridge * eye)
        distance = torch.linalg.solve_triangular(factor, away.T, upper=False).square().sum(0)
        scores.append(size[k].log() - factor.diagonal().log().sum() - distance / 2)
    return torch.stack(scores, 1).log_softmax(1)


def joint_confidence(z: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """(labels (n,) int64, confidence (n,) in [0, 1]) of a whole domain, JMDS of CoWA: LPG * MPPL.

    g = `mixture_log_posterior` of z' = z / |z|, begun at p and refined once;  y = argmax_k g
    LPG_i = (largest - second largest of g_i) / max_j of the same;  MPPL_i = p_i[y_i]

    z (n, d) features, p (n, K) the model's probabilities, K >= 2. Lee et al. Confidence Score for Source-Free
    Unsupervised Domain Adaptation. ICML 2022. arXiv:2206.06520; as in the authors' code, where the first round's
    covariances weigh all rows alike.
    """
    unit = normalize(z.double(), dim=1)
    gamma = mixture_log_posterior(unit, p, torch.ones_like(p)).exp()
    log_gamma = mixture_log_posterior(unit, gamma, gamma)
    best = log_gamma.topk(2, dim=1)
    gap = (best.values[:, 0] - best.values[:, 1]).clamp(max=torch.finfo(torch.float32).max)
    labels = best.indices[:, 0]
    told = p.double().gather(1, labels[:, None])[:, 0]
    return labels, (gap / gap.max().clamp(min=torch.finfo(gap.dtype).tiny) * told).to(p.dtype)
