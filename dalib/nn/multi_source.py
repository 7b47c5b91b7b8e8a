"""Several source domains in one batch: means per domain, and the distance of their moments."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dalib.nn.discrepancy import as_float


def origin_means(values: Tensor, origin: Tensor, origins: int) -> tuple[Tensor, Tensor]:
    """Mean of each domain's rows and whether it has any: (n, …) and (n,) bool; a domain without rows has mean 0.

    values (B, …), origin (B,) in [0, n), n = origins
    """
    member = one_hot(origin, origins).to(values.dtype)
    count = member.sum(0)
    means = torch.einsum("bn,b...->n...", member, values)
    return means / count.clamp(min=1).reshape(-1, *[1] * (values.ndim - 1)), count > 0


def multi_source_moment_distance(
    z_s: Tensor, z_t: Tensor, origin: Tensor, origins: int = 1, moments: int = 2
) -> Tensor:
    """Moment distance of n sources to the target and to each other, a scalar >= 0.

    MD² = sum_{k=1..moments} mean_i ||E z_i^k - E z_t^k|| + mean_{i<j} ||E z_i^k - E z_j^k||,  z^k per feature

    z_s (B_s, d) with origin (B_s,) in [0, n), z_t (B_t, d), n = origins >= 1, moments >= 1. Means are over the sources
    that have rows; without a pair the second one is 0. The norm's gradient at 0 is 0. Peng et al. Moment Matching for
    Multi-Source Domain Adaptation. ICCV 2019. arXiv:1812.01754 (definition 1; the norms are not squared there either).
    """
    z_s, z_t = as_float(z_s), as_float(z_t)
    i, j = torch.triu_indices(origins, origins, 1, device=z_s.device)
    total = z_s.new_zeros(())
    for k in range(1, moments + 1):
        means, present = origin_means(z_s**k, origin, origins)
        to_target = torch.linalg.vector_norm(means - (z_t**k).mean(0), dim=1)
        between, shared = torch.linalg.vector_norm(means[i] - means[j], dim=1), present[i] & present[j]
        total = total + (to_target * present).sum() / present.sum().clamp(min=1)
        total = total + (between * shared).sum() / shared.sum().clamp(min=1)
    return total
