"""Where the rows of a domain lie: on the device while they fit its budget, else on the host, copied batch by batch."""

from __future__ import annotations

import os
import re
import threading
import warnings
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dalib.core.errors import DalibError

SETTING = "DALIB_DEVICE_BUDGET"
DEFAULT = "25%"


def device_budget(device: torch.device) -> int:
    """Bytes of the device's memory that decoded images and features of one process may take.

    The environment variable `DALIB_DEVICE_BUDGET`: bytes, `500M`, `8G`, a part of the device's memory (`25%`, the
    default), or 0 to keep everything on the host. It changes no number, so it is not in a run's key.

    Raises
        DalibError: it is no amount of memory
    """
    text = os.environ.get(SETTING) or DEFAULT
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?|(\d+(?:\.\d+)?)\s*%", text.strip(), re.IGNORECASE)
    if not match:
        raise DalibError(f"{SETTING} = '{text}' is no amount of memory; give bytes, 500M, 8G, 25% or 0")
    if match[3]:
        total = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 4 << 30
        return int(total * float(match[3]) / 100)
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))


class Residents:
    """Arrays that lie on a device, one copy each however many stores and runs of the process use it.

    A copy of an array in memory is brought up to date when a store asks for it: on the host it would be the array.

    The array that was asked for longest ago makes room for a new one; its memory is free when no store uses it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[int, torch.device], tuple[weakref.ref[np.ndarray], Tensor]] = {}
        self._placed: list[weakref.ref[Tensor]] = []

    def place(self, x: np.ndarray, device: torch.device, budget: int) -> Tensor | None:
        """`x` on the device, or None where it does not fit `budget` bytes beside what is in use there."""
        key = (id(x), device)
        with self._lock:
            self._kept = {k: (host, t) for k, (host, t) in self._kept.items() if host() is not None}
            if key in self._kept:
                self._kept[key] = entry = self._kept.pop(key)
                if not isinstance(x, np.memmap) or x.flags.writeable:
                    entry[1].copy_(as_tensor(x))  # the caller's own array, whose values may have changed
                return entry[1]
            if x.nbytes > budget:
                return None
            while self._used(device) + x.nbytes > budget:
                oldest = next((k for k in self._kept if k[1] == device), None)
                if oldest is None:
                    return None
                del self._kept[oldest]
            with torch.inference_mode(False):
                tensor = as_tensor(x).to(device)
            self._kept[key] = (weakref.ref(x), tensor)
            self._placed.append(weakref.ref(tensor))
            return tensor

    def _used(self, device: torch.device) -> int:
        self._placed = [ref for ref in self._placed if ref() is not None]
        return sum(t.nbytes for ref in self._placed if (t := ref()) is not None and t.device == device)


RESIDENTS = Residents()


def as_tensor(x: np.ndarray) -> Tensor:
    """The array as a tensor without a copy; nothing here writes to it, so a read-only map is fine."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(x)


class Pieces:
    """Rows (n, *S) of several tensors that lie apart, on the host or on a device, addressed like one tensor.

    Args
        parts: tensors (n_k, *S)
        rows: (n,) int64, which row of its part each is
        owner: (n,) int64, which part each is from
    """

    def __init__(self, parts: Sequence[Tensor], rows: np.ndarray, owner: np.ndarray) -> None:
        self.parts, self.rows, self.owner = parts, rows, owner
        self.shape, self.dtype = (len(rows), *parts[0].shape[1:]), parts[0].dtype

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: tuple[Any, ...]) -> Tensor:
        """Of one row: x[i, :, 2:5]."""
        i, *rest = at
        inner = (int(self.rows[i]), *rest)
        return self.parts[self.owner[i]][inner]

    def pick(self, index: Tensor, device: torch.device) -> Tensor:
        """The rows of `index` (B,), which is on the host, on the device."""
        rows, owner = as_tensor(self.rows)[index], as_tensor(self.owner)[index]
        mine = [torch.nonzero(owner == k).flatten() for k in range(len(self.parts))]
        chunks = [send_rows(part, rows[m], device) for part, m in zip(self.parts, mine, strict=True)]
        return torch.cat(chunks).index_select(0, send(torch.cat(mine).argsort(), device))


def send_rows(x: Tensor | Pieces, index: Tensor, device: torch.device) -> Tensor:
    """x[index] on the device, from x (n, *S) there or on the host and index (B,) on the host; a GPU is not waited for.

    Rows of the host pass through page-locked memory, which PyTorch does not use again before the copy is done.
    """
    if isinstance(x, Pieces):
        return x.pick(index, device)
    if x.device.type != "cpu":
        return x.index_select(0, send(index, device))
    rows = torch.empty((len(index), *x.shape[1:]), dtype=x.dtype, pin_memory=device.type == "cuda")
    torch.index_select(x, 0, index, out=rows)
    return rows.to(device, non_blocking=True)


def send(x: Tensor, device: torch.device) -> Tensor:
    """A small tensor on the device; a GPU is not waited for."""
    if device.type != "cuda" or x.device.type != "cpu":
        return x.to(device)
    return x.pin_memory().to(device, non_blocking=True)
