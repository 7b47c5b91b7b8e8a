"""Constants on a device, copied there once: a copy in every step would wait for the device.

They stay for as long as a recorded step may read them, which is why so many are kept.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

LARGEST_KEPT = 512
"""Rows of the largest matrix that `blocks` keeps: 1 MiB in single precision."""


@lru_cache(maxsize=1024)
def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """values -> tensor (len(values),); the same tensor at every call, so it is never changed in place."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)


def blocks(
    sizes: tuple[int, int], values: tuple[float, float, float], hollow: bool, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """A matrix over pairs of n + m pooled rows: values (both of the first n, one of each, both of the last m).

    hollow: 0 on the diagonal. Up to `LARGEST_KEPT` rows the same tensor at every call, so it is never changed in place.
    """
    make = _blocks if sum(sizes) <= LARGEST_KEPT else _blocks.__wrapped__
    return make(sizes, values, hollow, dtype, device)


@lru_cache(maxsize=1024)
def _blocks(
    sizes: tuple[int, int], values: tuple[float, float, float], hollow: bool, dtype: torch.dtype, device: torch.device
) -> Tensor:
    n, total = sizes[0], sum(sizes)
    with torch.inference_mode(False):
        blocks = torch.full((total, total), values[1], dtype=dtype, device=device)
        blocks[:n, :n], blocks[n:, n:] = values[0], values[2]
        return blocks.fill_diagonal_(0) if hollow else blocks
