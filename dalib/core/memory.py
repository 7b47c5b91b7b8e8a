"""What memory is left, so that a method that needs more says so before it asks for it."""

from __future__ import annotations

from pathlib import Path

from dalib.core.errors import DalibError

GB = 1e9


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
