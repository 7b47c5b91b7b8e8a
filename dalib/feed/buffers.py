"""Memory for batches on the CPU, used again as soon as nothing refers to the batch that was in it."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class Buffers:
    """Hands out float32 tensors with undefined content.

    Fresh memory is the largest cost of a batch of images: 64 of 224 x 224 pixels are 38 MB, 9 400 page faults, more
    time than cutting, resizing and normalising them. A tensor keeps its memory through every view of it and every
    graph that saved it; when the last is gone the memory is free for the next batch.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: list[tuple[np.ndarray, weakref.ref[np.ndarray]]] = []

    def take(self, shape: Sequence[int]) -> Tensor:
        """A tensor of `shape` that shares memory with nothing that is still in use."""
        count = math.prod(shape)
        with self._lock:
            free = [base for base, user in self._made if user() is None and base.size >= count]
            base = min(free, key=lambda b: b.size) if free else _aligned(count)
            self._made = [(b, user) for b, user in self._made if b is not base and (free or user() is not None)]
            part = base[:count]
            self._made.append((base, weakref.ref(part)))
        return torch.from_numpy(part).view(*shape)


def _aligned(count: int) -> np.ndarray:
    """Uninitialised float32 (count,) on a border of 64 bytes, as PyTorch has it: last bits of sums may depend on it."""
    raw = np.empty(count + 16, np.float32)
    first = -raw.ctypes.data % 64 // raw.itemsize
    return raw[first : first + count]


BUFFERS = Buffers()
