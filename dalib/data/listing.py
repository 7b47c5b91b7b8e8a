"""What lies in a folder, a zip or a tar: the images, and what is left out and why; one rule to train and predict."""

from __future__ import annotations

import contextlib
import os
import posixpath
import stat
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from dalib.core.errors import DalibError
from dalib.core.limits import largest_file, refuse_bomb
from dalib.data.unpacking import ARCHIVES, BROKEN, SPECIAL, find_kind, unpack, zip_name

_CLUTTER = ("__MACOSX", "@eaDir", "#recycle", "@Recycle", "@Recently-Snapshot", "$RECYCLE.BIN", "lost+found")
_IGNORED = ("thumbs.db", "desktop.ini")
_NO_PICTURES = {"PDF", "EPS", "HDF5", "GRIB", "BUFR", "MPEG", "WMF", "IPTC", "PALM"}
"""Formats that Pillow writes only, only names, or hands to another program."""
_PICTURES = (
    *(".heic", ".heif", ".svg", ".dcm", ".nii", ".npy", ".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg"),
    *(".raw", ".cr2", ".nef", ".arw", ".dng", ".eps", ".pdf", ".wmf", ".exr", ".hdr", ".jxl"),
)
"""Endings of what people call pictures and Pillow does not read: worth a word wherever they lie."""
COMMON = ".jpg, .png, .tif, .gif, .webp, .bmp"
UNKNOWN, LOOP, CLUTTER = (
    "no kind of image that is read",
    "a link back to a folder around it",
    "in a system's own folder",
)
CLOSED = "a folder that may not be opened"


@lru_cache(maxsize=1)
def image_suffixes() -> tuple[str, ...]:
    """Endings of the files that Pillow reads, those of its plug-ins that are loaded included."""
    from PIL import Image

    Image.init()
    return tuple(sorted(e for e, kind in Image.EXTENSION.items() if kind in Image.OPEN and kind not in _NO_PICTURES))


def is_image(name: str) -> bool:
    return name.lower().endswith(image_suffixes())


class Listing:
    """The images below a folder or in an archive; contents are read on demand.

    Links are followed, but for those that lead back to a folder around them. Hidden files and the folders that systems
    make for themselves (`__MACOSX`, `@eaDir`) are skipped. A tar is unpacked into the cache on first use, of a zip one
    member after the other is read; its content says which it is, not its name. No file larger than `DALIB_MAX_FILE`
    (500M) is read out of an archive.

    Attributes
        images: paths inside the root, with slashes, sorted
        folders: likewise
        left_out: path -> why, for what a user may have meant to be an image
        ignored: path -> why, for the rest
    Raises
        DalibError: nothing there, or no readable archive
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._zip: tuple[int, zipfile.ZipFile] | None = None
        self._lock = threading.Lock()
        if not self.root.exists():
            raise DalibError(f"nothing at {self.root}; give a folder or an archive ({', '.join(ARCHIVES)})")
        self.left_out: dict[str, str] = {}
        self.ignored: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self.base = self.root
        self.zipped = self.root.is_file() and find_kind(self.root) == "zip"
        if self.root.is_file() and not self.zipped:
            self.base, lost = unpack(self.root)
            self.left_out.update({m: why for m, why in lost.items() if is_image(m)})
        members, self.folders = self._list_zip() if self.zipped else self._list_folder()
        self.images = sorted(m for m in members if self._keep(m))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_zip": None, "_lock": None}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def _keep(self, member: str) -> bool:
        if any(part in _CLUTTER for part in PurePosixPath(member).parts[:-1]):
            (self.left_out if is_image(member) else self.ignored)[member] = CLUTTER
            return False
        if is_image(member):
            return True
        name = PurePosixPath(member).name.lower()
        if name not in _IGNORED:
            (self.left_out if name.endswith(_PICTURES) else self.ignored)[member] = UNKNOWN
        return False

    def _list_folder(self) -> tuple[list[str], list[str]]:
        members: list[str] = []
        folders: list[str] = []
        top = os.path.realpath(self.base)
        around = {top, *map(str, Path(top).parents)}
        waiting: list[tuple[str, str, frozenset[str]]] = [(str(self.base), "", frozenset(around))]
        while waiting:
            path, inside, chain = waiting.pop()
            try:
                entries = sorted(os.scandir(path), key=lambda e: e.name)
            except OSError:
                self.left_out[inside or "."] = CLOSED
                continue
            for entry in entries:
                member = f"{inside}/{entry.name}" if inside else entry.name
                if entry.name.startswith("."):
                    continue
                kind = _kind_of(entry)
                if kind == "folder":
                    real = os.path.realpath(entry.path)
                    if real in chain:
                        self.left_out[member] = LOOP
                        continue
                    folders.append(member)
                    waiting.append((entry.path, member, chain | {real}))
                elif kind == "file":
                    members.append(member)
                elif is_image(entry.name) or kind == BROKEN:
                    self.left_out[member] = kind
        clutter = [f for f in folders if any(part in _CLUTTER for part in f.split("/"))]
        return members, sorted(set(folders) - set(clutter))

    def _list_zip(self) -> tuple[list[str], list[str]]:
        links: dict[str, str] = {}
        for info in self._archive().infolist():
            shown = zip_name(info)
            if any(part.startswith(".") and part not in (".", "..") for part in shown.split("/")):
                continue
            if stat.S_ISLNK(info.external_attr >> 16) and info.file_size < 4096:
                links[shown] = self._archive().read(info).decode(errors="surrogateescape")
            else:
                self._names[shown.strip("/") + ("/" if shown.endswith("/") else "")] = info.filename
        for link, to in links.items():
            place = posixpath.normpath(posixpath.join(posixpath.dirname(link), to))
            if place in self._names:
                self._names[link] = self._names[place]
            else:
                self.left_out[link] = BROKEN
        folders = {n.rstrip("/") for n in self._names if n.endswith("/")}
        folders = {f for f in folders if not any(part in _CLUTTER for part in f.split("/"))}
        members = [n for n in self._names if not n.endswith("/")]
        refuse_bomb(self.root, sum(self.size(n) for n in members if is_image(n) and self.size(n) <= largest_file()))
        return members, sorted(folders)

    def _archive(self) -> zipfile.ZipFile:
        """The zip, opened once per process: a forked child must not share its parent's file position."""
        if self._zip is None or self._zip[0] != os.getpid():
            try:
                self._zip = (os.getpid(), zipfile.ZipFile(self.root))
            except zipfile.BadZipFile as error:
                raise DalibError(f"{self.root} is not a readable zip ({error}); fetch it again") from error
        return self._zip[1]

    def state(self, member: str) -> tuple[int, int] | os.stat_result:
        """(bytes, CRC-32) as a zip's directory says, or the state of a file."""
        if self.zipped:
            info = self._archive().getinfo(self._names[member])
            return info.file_size, info.CRC
        return (self.base / member).stat()

    def read(self, member: str) -> bytes:
        """The bytes of one file; safe from several threads.

        Raises
            ValueError: it would be larger than `DALIB_MAX_FILE`
        """
        size, most = self.size(member), largest_file()
        if size > most:
            raise ValueError(f"{size / 1e6:.0f} MB; a file may have {most / 1e6:.0f} MB (DALIB_MAX_FILE)")
        if not self.zipped:
            return (self.base / member).read_bytes()
        with self._archive().open(self._names[member]) as file:  # no more than the directory says, whatever there is
            return file.read(size + 1)

    def size(self, member: str) -> int:
        state = self.state(member)
        return state.st_size if isinstance(state, os.stat_result) else state[0]

    def remarks(self) -> list[str]:
        """What was left out, one phrase per reason."""
        return list(summarise(self.left_out))


@contextlib.contextmanager
def naming(root: Path, member: str) -> Iterator[None]:
    """Whatever is raised while a file is read or decoded becomes a DalibError that names it."""
    try:
        yield
    except DalibError:
        raise
    except Exception as error:  # Pillow, zipfile and zlib have many words for damage
        reason = str(error).partition("<")[0].strip() or type(error).__name__
        raise DalibError(
            f"cannot read image {member} in {root} ({reason}); dalib data verify lists all such, "
            "--skip-unreadable (skip_unreadable=True) leaves them out"
        ) from error


def summarise(left_out: Mapping[str, str]) -> list[str]:
    """`3 files left out: no kind of image that is read (.heic 2, .mp4 1)`, one phrase per reason."""
    phrases = []
    for reason, n in Counter(left_out.values()).items():
        names = [m for m, why in left_out.items() if why == reason]
        if reason == UNKNOWN:
            endings = Counter(PurePosixPath(m).suffix.lower() or "no ending" for m in names)
            shown = ", ".join(f"{ending} {count}" for ending, count in endings.most_common(6))
        else:
            shown = ", ".join(names[:3]) + (", …" if n > 3 else "")
        phrases.append(f"{n} left out: {reason} ({shown})")
    return phrases


def _kind_of(entry: os.DirEntry[str]) -> str:
    try:
        mode = entry.stat().st_mode
    except OSError:
        return BROKEN
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else SPECIAL
