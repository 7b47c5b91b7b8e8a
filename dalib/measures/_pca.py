"""Principal components, the same for every order of the rows."""

from __future__ import annotations

import torch
from torch import Tensor


def principal_components(z: Tensor, width: int = 0, energy: float = 1.0) -> Tensor:
    """z (n, d) -> scores (n, k) float64 on the leading directions: at most `width` (0 = all) of them, and the fewest
    that hold the share `energy` of the variance; 1 <= k <= rank, or a column of zeros for constant features.

    Each direction points to where its largest loading is positive.
    """
    centred = z.double() - z.double().mean(0)
    U, S, Vh = torch.linalg.svd(centred, full_matrices=False)
    rank = int((S / S[0] > torch.finfo(S.dtype).eps * max(z.shape)).sum())
    share = S.square().cumsum(0) / S.square().sum().clamp(min=torch.finfo(S.dtype).tiny)
    k = max(1, min(rank, width or rank, int((share < energy).sum()) + 1))
    largest = Vh[:k].gather(1, Vh[:k].abs().argmax(1, keepdim=True))[:, 0]
    return U[:, :k] * S[:k] * torch.where(largest < 0, -1.0, 1.0)
