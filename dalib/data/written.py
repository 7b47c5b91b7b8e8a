"""Files that are written beside the names of pictures: each its own, none outside, none among the data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from dalib.core.errors import DalibError


def written_name(name: str, ending: str) -> PurePosixPath:
    """`a/b.png` -> `a/b` + ending."""
    path = PurePosixPath(name)
    return path.with_name(f"{path.stem}{ending}")


def check_written(names: Iterable[str], ending: str, folder: Path, data: Path) -> None:
    """DalibError where two pictures would have one file, or one would lie outside the folder or among the pictures.

    Args
        ending: of the files that are written
        data: where the pictures are
    """
    if data.is_dir() and folder.resolve().is_relative_to(data.resolve()):
        raise DalibError(
            f"{folder} lies in {data}, where what is written would be taken for pictures the next time; give another "
            "folder"
        )
    taken: dict[PurePosixPath, str] = {}
    for name in names:
        if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
            raise DalibError(f"what is written of {name} would lie outside {folder}; rename the picture")
        file = written_name(name, ending)
        other = taken.setdefault(file, name)
        if other != name:
            raise DalibError(f"{other} and {name} would both be written to {file}; rename one of them")
