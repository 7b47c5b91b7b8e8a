"""Arrays that can be made again, kept on disk: made by one process, mapped by all, made anew where a file is damaged.

A file is NumPy's own format, followed by the CRC-32 of all before it. Every process checks a file once before it maps
it (about 5 GB/s), and once more when it was replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import time
import warnings
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from dalib.core.errors import DalibError
from dalib.core.files import SUFFIX, written_aside
from dalib.core.rows import RowView

_STALE = 24 * 3600.0
_MARK = b"dalib-crc32:"
_BLOCK = 1 << 20
_CHECKED: dict[Path, tuple[tuple[int, ...], str]] = {}
"""file -> (its stamp when its checksum was found right, the checksum), in this process."""
_CONTENTS: dict[int, tuple[weakref.ref[np.ndarray], str]] = {}
"""id of a mapped array -> (itself, what its content is called)."""


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
    """The array that `make` returns, memory-mapped read-only; made only when the cache has none that is whole.

    Processes and threads that need the same array at once wait for the first of them, which makes it.

    Args
        name: for people who look into the cache (`images-amazon`)
        key: everything that the content depends on
    """
    return _cached(name, key, lambda file: np.save(file, make(), allow_pickle=False))  # type: ignore[arg-type]


def cached_rows(
    name: str, key: str, shape: Sequence[int], dtype: type[np.generic], make: Callable[[], Iterable[np.ndarray]]
) -> np.ndarray:
    """`cached_array` for one that need not fit into memory: `make` gives it in parts, from the first row to the last.

    Args
        shape: (n, *S) of the whole; a part is one row (*S) or several (m, *S)
        dtype: of the whole and of every part
    """

    def write(file: _Summed) -> None:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": tuple(shape)}
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[arg-type]
        for part in make():
            file.write(np.ascontiguousarray(part, dtype).data)

    return _cached(name, key, write, (tuple(shape), np.dtype(dtype)))


def content_of(x: np.ndarray | RowView) -> str:
    """What tells an array's content from any other: of a cached one its file's name and checksum, else a sha256.

    Nothing is remembered of an array in memory, whose values may change.
    """
    if isinstance(x, RowView) and all(_kept(base) for base in x.bases):
        bases = "+".join(map(_kept, x.bases))
        return f"rows of {bases}: {_digest(x.rows)} {_digest(x.owner)}"
    return (not isinstance(x, RowView) and _kept(x)) or _digest(x)


def _kept(x: np.ndarray) -> str:
    kept = _CONTENTS.get(id(x))
    return kept[1] if kept and kept[0]() is x else ""


def _digest(x: np.ndarray | RowView) -> str:
    digest = hashlib.sha256(f"{x.dtype.descr if x.dtype.names else x.dtype} {x.shape}".encode())
    step = max(1, _BLOCK // max(1, x.dtype.itemsize * int(np.prod(x.shape[1:]))))
    parts = range(len(x)) if isinstance(x, RowView) else (slice(i, i + step) for i in range(0, len(x), step))
    for part in parts:
        digest.update(np.ascontiguousarray(x[part]).tobytes())
    return digest.hexdigest()


class _Summed:
    """A file that is written to, with the checksum of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.crc = file, 0

    def write(self, part: Any) -> int:
        self.crc = zlib.crc32(part, self.crc)
        return self.file.write(part)


def _cached(
    name: str, key: str, write: Callable[[_Summed], None], expected: tuple[tuple[int, ...], np.dtype[Any]] | None = None
) -> np.ndarray:
    folder = cache_root() / "arrays"
    digest = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:32]
    path = folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', name)[:60]}-{digest}.npy"
    x = _open_whole(path, expected)
    if x is not None:
        return x
    with _only_one(cache_root() / "locks" / digest):
        x = _open_whole(path, expected)
        if x is not None:
            return x
        if path.exists():
            warnings.warn(
                f"the cache's file {path} is damaged, or of an earlier dalib, and is made again", stacklevel=3
            )
        _remove_stale(folder)
        try:
            with written_aside(path) as file:
                summed = _Summed(file)
                write(summed)
                file.write(_MARK + f"{summed.crc:08x}".encode())
        except PermissionError:  # Windows: another process has the same array mapped already
            if not path.is_file():
                raise
    x = _open_whole(path, expected)
    if x is None:
        raise DalibError(f"the cache's file {path} is damaged as soon as it is written; delete it, check the disk")
    return x


def _open_whole(path: Path, expected: tuple[tuple[int, ...], np.dtype[Any]] | None) -> np.ndarray | None:
    """The array of a file, mapped; None where there is none, or a damaged one."""
    try:
        crc = _check_sum(path)
        x = np.load(path, mmap_mode="r", allow_pickle=False) if crc else None
    except (FileNotFoundError, ValueError, EOFError):
        return None
    if x is None or (expected is not None and (x.shape, x.dtype) != expected):
        return None
    for number in [n for n, (array, _) in list(_CONTENTS.items()) if array() is None]:
        _CONTENTS.pop(number, None)
    _CONTENTS[id(x)] = (weakref.ref(x), f"{path.name} {crc}")
    return x


def _check_sum(path: Path) -> str:
    """The checksum that a file ends with, if it is that of what precedes it; else an empty string."""
    with path.open("rb", buffering=0) as file:
        stat = os.fstat(file.fileno())
        stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        known = _CHECKED.get(path)
        if known and known[0] == stamp:
            return known[1]
        left, crc, block = stat.st_size - len(_MARK) - 8, 0, memoryview(bytearray(_BLOCK))
        while left > 0:
            n = file.readinto(block[: min(left, _BLOCK)])
            if not n:
                return ""
            crc, left = zlib.crc32(block[:n], crc), left - n
        if left < 0 or file.read() != _MARK + f"{crc:08x}".encode():
            return ""
    _CHECKED[path] = (stamp, f"{crc:08x}")
    return f"{crc:08x}"


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
