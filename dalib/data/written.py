"""Files that are written beside the names of pictures: each its own, none outside, none among the data."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from PIL import Image

from dalib.core.errors import DalibError
from dalib.core.files import write_atomic

LONGEST_SIDE = 65_500
"""Pixels of a side that a JPEG may have."""


def write_jpeg(image: Image.Image, path: Path, quality: int) -> None:
    """The picture to look at, smaller where a side is longer than the format knows."""
    longest = max(image.size)
    if longest > LONGEST_SIDE:
        width, height = (max(1, side * LONGEST_SIDE // longest) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    write_atomic(path, buffer.getvalue())


def written_name(name: str, ending: str) -> PurePosixPath:
    """`a/b.png` -> `a/b` + ending."""
    path = PurePosixPath(name)
    return path.with_name(f"{path.stem}{ending}")


def check_written(names: Iterable[str], ending: str, folder: Path, data: Path) -> None:
    """DalibError where it is no folder, or a file would be another's too, lie outside it or among the pictures, or
    replace the picture.

    Args
        ending: of the files that are written
        data: where the pictures are
    """
    if folder.exists() and not folder.is_dir():
        raise DalibError(f"{folder} is no folder; give one, or a name that is free")
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
        if data.is_file() and (folder / file).resolve() == data.resolve():
            raise DalibError(f"what is written of {name} would replace the picture in {folder}; give another folder")
        other = taken.setdefault(file, name)
        if other != name:
            raise DalibError(f"{other} and {name} would both be written to {file}; rename one of them")
