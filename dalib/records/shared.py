"""What a file system must offer for several machines to write into one store, tried in the store itself."""

from __future__ import annotations

import contextlib
import os
import secrets
from functools import cache
from pathlib import Path

from dalib.core.errors import DalibError
from dalib.core.files import folder_time

SLACK = 2.0
"""Seconds by which the stamps of one file server may differ, for its clock may be coarse."""


def require_shared(folder: Path) -> None:
    """Let nobody of several machines into a store that cannot keep them apart.

    Raises
        DalibError: what is missing
    """
    lacks = find_lacks(folder.resolve())
    if lacks:
        raise DalibError(
            f"{folder} lies on a file system without {' and without '.join(lacks)}, so several machines cannot share "
            "it; give each a store of its own and join them with dalib merge A B --into WHERE"
        )


@cache
def find_lacks(folder: Path) -> tuple[str, ...]:
    """What is missing here of what leases need; looked at once for a folder and process."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f".probe.{secrets.token_hex(8)}"
    one, two = Path(f"{stem}.1"), Path(f"{stem}.2")
    tries = {
        "hard links that refuse a name which is taken": _links,
        "renaming that replaces in one step": _renames,
        "one clock that stamps its files": _has_one_clock,
    }
    lacks = []
    for what, works in tries.items():
        try:
            one.write_bytes(b"1")
            two.unlink(missing_ok=True)
            if not works(one, two):
                lacks.append(what)
        except (OSError, AttributeError):
            lacks.append(what)
        finally:
            for path in (one, two):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
    return tuple(lacks)


def _links(one: Path, two: Path) -> bool:
    os.link(one, two)
    try:
        os.link(one, two)
    except FileExistsError:
        return two.read_bytes() == b"1"
    return False


def _renames(one: Path, two: Path) -> bool:
    two.write_bytes(b"2")
    one.replace(two)
    if two.read_bytes() != b"1":
        return False
    try:
        one.replace(two)
    except FileNotFoundError:
        return True
    return False


def _has_one_clock(one: Path, two: Path) -> bool:
    """A new file, and one that is touched, are stamped alike and not before each other."""
    before = folder_time(one.parent)
    os.utime(one)
    touched = one.stat().st_mtime
    return before <= touched + SLACK and touched <= folder_time(one.parent) + SLACK
