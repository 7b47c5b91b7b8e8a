"""One process per run: a lock file that a dead owner cannot hold."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: taking over a stale lock is then not atomic
    fcntl = None  # type: ignore[assignment]


def process_started(pid: int) -> str:
    """When a process began, as the system counts (tells a reused pid apart); an empty string if it is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        if Path("/proc/self/stat").exists():
            return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        pass
    return "unknown"


def acquire(path: Path) -> bool:
    """Create the lock file with this process as its owner; False if a live process (or another host) has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _guard(path.parent / ".guard"):
        if path.exists() and is_held(path):
            return False
        path.unlink(missing_ok=True)
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w") as file:
            file.write(f"{platform.node()} {os.getpid()} {process_started(os.getpid())}")
        return True


def release(path: Path) -> None:
    path.unlink(missing_ok=True)


def is_held(path: Path) -> bool:
    """True while the owner named in the lock file lives; owners on other hosts count as alive."""
    try:
        host, pid, started = path.read_text().split()
    except (OSError, ValueError):
        return False
    return host != platform.node() or process_started(int(pid)) == started


@contextmanager
def _guard(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
