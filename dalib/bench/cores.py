"""How many cores there are to share."""

from __future__ import annotations

import os


def count_cores() -> int:
    """Cores that this process may use; OMP_NUM_THREADS, where it is set, is an upper bound."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit() and int(limit):
        return min(int(limit), _cores())
    return _cores()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
