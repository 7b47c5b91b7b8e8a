"""Constants on a device, copied there once: a copy in every step would wait for the device.

They stay for as long as a recorded step may read them, which is why so many are kept.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=1024)
def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """values -> tensor (len(values),); the same tensor at every call, so it is never changed in place."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)
