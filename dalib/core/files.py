"""Files that are the old one or the new one, never a part of either: written aside, synced, renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

SUFFIX = ".part"


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when the block ends without an exception; its folder is made.

    File and folder are synced, so that the new file is there after a power failure too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name[:80]}.{os.getpid()}.{secrets.token_hex(4)}{SUFFIX}")
    try:
        with aside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_atomic(path: Path, content: bytes) -> None:
    """`content` in the place of `path`."""
    with written_aside(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """`text` as UTF-8 in the place of `path`; names of files that are not UTF-8 keep their bytes."""
    write_atomic(path, text.encode(errors="surrogateescape"))


def writer_of(part: Path) -> int:
    """The process that writes, or wrote, a half-written file; 0 if its name does not say."""
    pid = part.name.removesuffix(SUFFIX).split(".")[-2:][0]
    return int(pid) if part.name.endswith(SUFFIX) and pid.isdigit() else 0


def _sync_folder(folder: Path) -> None:
    """Make the rename last; a platform that cannot open folders has no need of it or no way."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
