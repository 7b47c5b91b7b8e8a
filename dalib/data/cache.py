"""Files that can be made again: written aside and renamed, so that readers never see half of one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

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


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when the block ends without an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:40]}-", suffix=".part", dir=path.parent)
    aside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.chmod(0o644)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path`: after a crash the file is the old one or the new one, never a part."""
    with written_aside(path) as file:
        file.write(content)


def cached_array(name: str, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array that `make` returns, memory-mapped read-only; made only when the cache has none.

    Two processes may make the same array at once; each writes its own file, the last rename wins, both are right.

    Args
        name: for people who look into the cache (`images-amazon`)
        key: everything that the content depends on
    """
    folder = cache_root() / "arrays"
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    path = folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', name)[:60]}-{digest}.npy"
    with contextlib.suppress(FileNotFoundError, ValueError, EOFError):
        return np.load(path, mmap_mode="r", allow_pickle=False)
    array = make()
    _remove_stale(folder)
    try:
        with written_aside(path) as file:
            np.save(file, array, allow_pickle=False)
    except PermissionError:  # Windows: another process has the same array mapped already
        if not path.is_file():
            raise
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _remove_stale(folder: Path) -> None:
    """Remove what killed processes left a day ago or earlier."""
    for part in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > _STALE:
                part.unlink()
