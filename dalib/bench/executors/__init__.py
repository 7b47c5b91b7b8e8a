"""Where runs happen, one file per way: `execute(jobs, work, workers) -> Iterator[(job, result)]`, in any order."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dalib.core.errors import unknown


def load_executor(name: str) -> Callable[..., Any]:
    """`execute` of the file `executors/<name>.py`."""
    known = [p.stem for p in Path(__file__).parent.glob("*.py") if not p.name.startswith("_")]
    if name not in known:
        raise unknown("executor", name, known)
    return importlib.import_module(f"{__name__}.{name}").execute


def count_cores() -> int:
    """Cores that this process may use; OMP_NUM_THREADS, where it is set, is an upper bound."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit() and int(limit):
        return min(int(limit), _cores())
    return _cores()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
