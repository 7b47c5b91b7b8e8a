"""Arrays that can be made again, kept on disk: made by one process, mapped by all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from dalib.core.files import SUFFIX, written_aside

_STALE = 24 * 3600.0


def cache_root() -> Path:
    """`DALIB_CACHE`, or `dalib` in the platform's cache folder; not made here. Everything in it may be deleted."""
    if os.environ.get("DALIB_CACHE"):
        return Path(os.environ["DALIB_CACHE"]).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "dalib"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "dalib"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dalib"


def cached_array(name: str, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array that `make` returns, memory-mapped read-only; made only when the cache has none.

    Processes and threads that need the same array at once wait for the first of them, which makes it.

    Args
        name: for people who look into the cache (`images-amazon`)
        key: everything that the content depends on
    """
    return _cached(name, key, lambda file: np.save(file, make(), allow_pickle=False))


def cached_rows(
    name: str, key: str, shape: Sequence[int], dtype: type[np.generic], make: Callable[[], Iterable[np.ndarray]]
) -> np.ndarray:
    """`cached_array` for one that need not fit into memory: `make` gives it in parts, from the first row to the last.

    Args
        shape: (n, *S) of the whole; a part is one row (*S) or several (m, *S)
        dtype: of the whole and of every part
    """

    def write(file: IO[bytes]) -> None:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": tuple(shape)}
        np.lib.format.write_array_header_1_0(file, header)
        for part in make():
            file.write(np.ascontiguousarray(part, dtype).data)

    return _cached(name, key, write)


def _cached(name: str, key: str, write: Callable[[IO[bytes]], None]) -> np.ndarray:
    folder = cache_root() / "arrays"
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    path = folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', name)[:60]}-{digest}.npy"
    readable = (FileNotFoundError, ValueError, EOFError)
    with contextlib.suppress(*readable):
        return np.load(path, mmap_mode="r", allow_pickle=False)
    with _only_one(cache_root() / "locks" / digest):
        with contextlib.suppress(*readable):
            return np.load(path, mmap_mode="r", allow_pickle=False)
        _remove_stale(folder)
        try:
            with written_aside(path) as file:
                write(file)
        except PermissionError:  # Windows: another process has the same array mapped already
            if not path.is_file():
                raise
    return np.load(path, mmap_mode="r", allow_pickle=False)


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Wait until nobody else is in here with the same path; a process that dies is out.

    Where files cannot be locked (Windows, some network folders) nobody waits: each makes its own file and the last
    rename wins, which is right too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove_stale(folder: Path) -> None:
    """Remove what killed processes left a day ago or earlier."""
    for part in folder.glob(f".*{SUFFIX}"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > _STALE:
                part.unlink()
