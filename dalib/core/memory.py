"""What memory is left, so that a method that needs more says so before it asks for it; and freed memory, kept."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock

from dalib.core.errors import DalibError

GB = 1e9
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # malloc.h
_MOST_MAPPED, _LARGEST_THRESHOLD = 65536, 32 << 20  # what glibc starts with, and where its own adjustment ends
_lock, _holders = Lock(), 0


@contextmanager
def hold_memory() -> Iterator[None]:
    """Meanwhile the C library keeps what is freed for the next tensor of that size, and gives it back at the end.

    glibc maps every large block anew and unmaps it again, so a network's activations cost a page fault for every 4 KiB
    of every step: two thirds of the time of MobileNetV2's inference. Numbers are the same. Does nothing where the C
    library is another, or is tuned by the environment (`MALLOC_…`, `GLIBC_TUNABLES`, an allocator preloaded).
    """
    global _holders
    library = _tunable_library()
    if library is None:
        yield
        return
    with _lock:
        _holders += 1
        if _holders == 1:
            library.mallopt(_MMAP_MAX, 0)
            library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if not _holders:
                library.mallopt(_MMAP_MAX, _MOST_MAPPED)
                library.mallopt(_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
                library.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_THRESHOLD)
                library.malloc_trim(0)


@cache
def _tunable_library() -> ctypes.CDLL | None:
    tuned = any(name.startswith("MALLOC_") or name in ("GLIBC_TUNABLES", "LD_PRELOAD") for name in os.environ)
    if tuned or sys.platform != "linux":
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
        return library if library.mallopt and library.malloc_trim else None
    except (OSError, AttributeError):
        return None


def available_memory() -> float:
    """Bytes that this process may still take, by the machine, its control group and its own limit; inf if unknown."""
    return min(_of_machine(), _of_group(), _of_process())


def require_memory(name: str, needed: float, what: str, remedy: str) -> None:
    """Raises DalibError if `needed` bytes, which `what` takes, are more than there are."""
    left = available_memory()
    if needed > left:
        raise DalibError(f"{name} needs {what}, {needed / GB:.1f} GB, but {left / GB:.1f} GB are left; {remedy}")


def _of_machine() -> float:
    return next((kb * 1024 for kb in _numbers("/proc/meminfo", "MemAvailable:")), float("inf"))


def _of_group() -> float:
    folder = Path("/sys/fs/cgroup")
    try:
        limit, used = ((folder / name).read_text().strip() for name in ("memory.max", "memory.current"))
        cached = sum(_numbers(str(folder / "memory.stat"), "inactive_file"))
        return float("inf") if limit == "max" else float(limit) - float(used) + cached
    except (OSError, ValueError):
        return float("inf")


def _of_process() -> float:
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    except (ImportError, OSError):
        return float("inf")
    used = sum(_numbers("/proc/self/status", "VmSize:")) * 1024
    return float("inf") if limit == resource.RLIM_INFINITY else limit - used


def _numbers(path: str, name: str) -> list[float]:
    """The number behind `name` in a file of lines `name number …`; none where there is no such file or line."""
    try:
        lines = [line.split() for line in Path(path).read_text().splitlines()]
        return [float(words[1]) for words in lines if len(words) > 1 and words[0] == name]
    except (OSError, ValueError):
        return []
