"""Constants on a device, copied there once: a copy in every step would wait for the device."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=64)
def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """values -> tensor (len(values),); the same tensor at every call, so it is never changed in place."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)
