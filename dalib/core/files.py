"""Files that are the old one or the new one, never a part of either: written aside, synced, renamed."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from dalib.core.processes import is_alive, place

SUFFIX = ".part"
ABANDONED = 3600.0
"""Seconds after which a half-written file of another machine or container, never touched since, is swept."""


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when the block ends without an exception; its folder is made.

    File and folder are synced, so that the new file is there after a power failure too. What dead writers of the same
    file left half-written goes.
    """
    if not path.name:
        raise IsADirectoryError(errno.EISDIR, "Is a directory", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name[:80]}.{place()}-{os.getpid()}.{secrets.token_hex(4)}{SUFFIX}")
    try:
        with aside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        if error.errno and error.filename is None:  # a full disk says so when bytes are written, and not where
            error.filename = str(path)
        raise
    finally:
        aside.unlink(missing_ok=True)
    _sweep(path.parent.glob(f".{glob.escape(path.name[:80])}.*{SUFFIX}"))
    sync_folder(path.parent)


def read_file(path: Path) -> bytes:
    """The bytes of an ordinary file; nobody is waited for, as reading a pipe would.

    Raises
        OSError: nothing there, or something else
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "No ordinary file", str(path))
    return path.read_bytes()


def write_atomic(path: Path, content: bytes) -> None:
    """`content` in the place of `path`."""
    with written_aside(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """`text` as UTF-8 in the place of `path`."""
    write_atomic(path, to_bytes(text))


def to_bytes(text: str) -> bytes:
    """UTF-8; names of files that are not keep their bytes."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half a character that is no byte of any name
        return text.encode(errors="backslashreplace")


def writer_of(part: Path) -> int:
    """The process of this machine and container that writes, or wrote, a half-written file; 0 if it is none of them."""
    where, _, pid = part.name.removesuffix(SUFFIX).split(".")[-2:][0].partition("-")
    return int(pid) if part.name.endswith(SUFFIX) and where == place() and pid.isdigit() else 0


def sweep_parts(folder: Path, pattern: str = "*") -> int:
    """Remove half-written files of dead writers below `folder`, in folders that match; how many there were.

    Of a writer elsewhere nobody can say whether it lives: its file goes when nothing was written to it for an hour.
    """
    return _sweep([*folder.glob(f".*{SUFFIX}"), *folder.glob(f"{pattern}/.*{SUFFIX}")])


def _sweep(parts: Iterable[Path]) -> int:
    removed = 0
    for part in parts:
        with contextlib.suppress(OSError):
            pid = writer_of(part)
            if not is_alive(pid) if pid else folder_time(part.parent) - part.stat().st_mtime > ABANDONED:
                part.unlink()
                removed += 1
    return removed


def folder_time(folder: Path) -> float:
    """Now, in seconds since 1970, by the clock that stamps a folder's files: its server's, not this host's."""
    probe = folder / f".clock.{secrets.token_hex(8)}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the rename last; a platform that cannot open folders has no need of it or no way."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
