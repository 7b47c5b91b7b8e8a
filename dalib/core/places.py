"""Folders here and elsewhere: a path, or a URL of whatever fsspec reaches (`s3://…`, `gs://…`, `memory://…`)."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any, Protocol

from dalib.core.errors import DalibError
from dalib.core.files import read_file, write_atomic

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")


def is_url(where: str | Path) -> bool:
    """`s3://bucket/runs`, also where a `Path` has swallowed one of the strokes; a drive (`C:/`) is none."""
    return bool(_URL.match(str(where)))


class Place(Protocol):
    """A folder; names are relative and go by strokes, `ab/abcd.json`."""

    where: str

    def names(self) -> set[str]:
        """Of all files below it, without hidden ones; none where there is no folder."""

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError; OSError for what cannot be read."""

    def write(self, name: str, content: bytes) -> None:
        """In the place of what was there; a reader sees the old file or the new one."""


class LocalPlace:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root, self.where = root, str(root)

    def names(self) -> set[str]:
        found = {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}
        return {name for name in found if not _is_hidden(name)}

    def read(self, name: str) -> bytes:
        return read_file(self.root / name)

    def write(self, name: str, content: bytes) -> None:
        write_atomic(self.root / name, content)


class RemotePlace:
    """A folder behind an fsspec URL.

    Raises
        DalibError: a protocol that fsspec does not know, or whose package is not installed
    """

    def __init__(self, url: str) -> None:
        self.where = url.rstrip("/")
        fsspec = _import_fsspec(url)
        scheme = url.partition(":")[0]
        try:
            self.system, root = fsspec.core.url_to_fs(re.sub(r"^([^/]*:)/(?!/)", r"\1//", url))
        except ImportError as error:
            raise DalibError(f"{scheme}:// needs a package: {error}; for s3, pip install 'dalib-toolkit[s3]'") from None
        except ValueError as error:
            raise DalibError(f"{url}: {error}; give a folder, or a URL such as s3://bucket/runs") from None
        self.root = root.rstrip("/")

    def names(self) -> set[str]:
        found = (str(path) for path in self.system.find(self.root))
        below = (path[len(self.root) :].lstrip("/") for path in found if path.startswith(self.root + "/"))
        return {name for name in below if not _is_hidden(name)}

    def read(self, name: str) -> bytes:
        return bytes(self.system.cat_file(f"{self.root}/{name}"))

    def write(self, name: str, content: bytes) -> None:
        """Written under another name and moved, for not every system shows a file only when it is whole."""
        final = f"{self.root}/{name}"
        folder, _, last = final.rpartition("/")
        aside = f"{folder}/.{last}.{secrets.token_hex(8)}.part"
        self.system.makedirs(folder, exist_ok=True)
        self.system.pipe_file(aside, content)
        self.system.mv(aside, final)


def open_place(where: str | Path) -> Place:
    """The folder at a path or URL; it need not be there."""
    return RemotePlace(str(where)) if is_url(where) else LocalPlace(Path(where))


def read_bytes(where: str | Path) -> bytes:
    """The file at a path or URL.

    Raises
        FileNotFoundError: nothing there, or no ordinary file
    """
    if is_url(where):
        folder, _, name = str(where).rpartition("/")
        return RemotePlace(folder).read(name)
    if not Path(where).is_file():
        raise FileNotFoundError(where)
    return read_file(Path(where))


def write_bytes(where: str | Path, content: bytes) -> None:
    """`content` in the place of the file at a path or URL."""
    if is_url(where):
        folder, _, name = str(where).rpartition("/")
        RemotePlace(folder).write(name, content)
    else:
        write_atomic(Path(where), content)


def refuse_url(where: str | Path, what: str) -> None:
    """Raises DalibError where a folder of this machine is needed and a URL is given."""
    if is_url(where):
        raise DalibError(
            f"{what} {where} is a URL, which has no locks; give a folder, and bring records there and back with "
            "dalib merge FROM --into WHERE"
        )


def refuse_remote(where: str | Path, what: str) -> None:
    """Raises DalibError where only a path of this machine will do, and a URL would become a folder named `s3:`."""
    if is_url(where):
        raise DalibError(f"{what} {where} is a URL, which only records go to; give a path of this machine")


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _import_fsspec(url: str) -> Any:
    try:
        import fsspec
        import fsspec.core
    except ImportError:
        raise DalibError(f"{url} is a URL, which needs fsspec: pip install fsspec, or give a folder") from None
    return fsspec
