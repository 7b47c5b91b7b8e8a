"""Which process is which: its machine and container, and whether it lives."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from functools import cache
from pathlib import Path


@cache
def place() -> str:
    """Eight digits that tell this boot of this machine, and this container's process numbers, from any other."""
    boot, space = _read_boot(), _read_space()
    known = f"{boot} {space}" if boot and space else platform.node()
    return hashlib.sha256(known.encode(errors="surrogateescape")).hexdigest()[:8]


def _read_boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _read_space() -> str:
    """The numbering of processes that this one lives in."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def process_started(pid: int) -> str:
    """When a process began, as the system counts (tells a reused pid apart); an empty string if it is dead.

    One that has ended and whose parent has not asked for its status (a zombie) is dead; `unknown` where only being
    alive can be told.
    """
    if pid <= 0:
        return ""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        if Path("/proc/self/stat").exists():
            return ""
    if sys.platform == "win32":  # os.kill would end it
        return "unknown"
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return ""
    except OSError:
        pass
    return "unknown"


def is_alive(pid: int) -> bool:
    """A process of that number runs here, as far as can be told."""
    return bool(process_started(pid))
