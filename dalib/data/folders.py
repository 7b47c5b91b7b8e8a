"""Images as `domain/class/*` or `domain/images/class/*`, in a folder or straight from a zip."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from dalib.core.errors import DalibError
from dalib.core.files import write_atomic
from dalib.data.cache import cache_root

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_RACY = 2 * 10**9
LAYOUT = "domain/class/image.jpg or domain/images/class/image.jpg, as a folder or a .zip"


@dataclass(frozen=True, order=True)
class ImageFile:
    """One image: folder names of its domain and class, its name below them, and its path inside the root."""

    domain: str
    cls: str
    name: str
    member: str


class ImageTree:
    """The images below a root, in a fixed order; contents are read on demand.

    Folders around the domains (`office31/amazon/…`) are skipped, as are hidden files and `__MACOSX`. Images that lie
    too high for a class (`amazon/x.jpg`) are `strays`.

    Args
        root: a folder or a .zip
    Attributes
        files: sorted by domain, class, name
        empty: (domain, class) folders without an image
        strays: paths of images outside any class folder
    Raises
        DalibError: the root is missing, not a zip, or has no `domain/class/image`
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._zip: tuple[int, zipfile.ZipFile] | None = None
        if not self.root.exists():
            raise DalibError(f"no data at {self.root}; give a folder or .zip with {LAYOUT}")
        self.zipped = self.root.is_file()
        members, folders = self._list_zip() if self.zipped else self._list_folder()
        images = [m for m in members if m.lower().endswith(SUFFIXES)]
        wrap = _wrapping_folders([_parts(m) for m in images])
        located = {m: _locate(m, wrap) for m in images}
        self.files = tuple(sorted(f for f in located.values() if f))
        self.strays = tuple(sorted(m for m, f in located.items() if f is None))
        if not self.files:
            raise DalibError(f"{self.root} holds no images in class folders; expected {LAYOUT}{self._hint()}")
        domains = {f.domain for f in self.files}
        used = {str(parent) for m in images for parent in PurePosixPath(m).parents}
        vacant = (_locate(f"{folder}/*", wrap) for folder in folders if folder not in used)
        self.empty = tuple(sorted((f.domain, f.cls) for f in vacant if f and f.domain in domains and f.name == "*"))

    def _hint(self) -> str:
        if self.strays and all(len(_parts(m)) == 2 for m in self.strays):
            return "; this looks like class/image.jpg: give the folder above it"
        zips = [] if self.zipped else sorted(p.name for p in self.root.glob("*.zip"))
        return f"; it holds {', '.join(zips)}: give one of them" if zips else ""

    def _list_folder(self) -> tuple[list[str], list[str]]:
        members, folders = [], []
        for folder, below, names in os.walk(self.root, followlinks=True):
            below[:] = sorted(n for n in below if not _hidden(n))
            at = Path(folder).relative_to(self.root)
            folders += [(at / n).as_posix() for n in below]
            members += [(at / n).as_posix() for n in names if not _hidden(n)]
        return members, folders

    def _list_zip(self) -> tuple[list[str], list[str]]:
        names = [n for n in self._archive().namelist() if not any(map(_hidden, n.rstrip("/").split("/")))]
        return [n for n in names if not n.endswith("/")], [n.rstrip("/") for n in names if n.endswith("/")]

    def _archive(self) -> zipfile.ZipFile:
        """The zip, opened once per process: a forked child must not share its parent's file position."""
        if self._zip is None or self._zip[0] != os.getpid():
            try:
                self._zip = (os.getpid(), zipfile.ZipFile(self.root))
            except zipfile.BadZipFile as error:
                raise DalibError(f"{self.root} is not a readable zip ({error}); fetch it again") from error
        return self._zip[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_zip": None}

    @property
    def domains(self) -> tuple[str, ...]:
        """Folder names of the domains, sorted."""
        return tuple(sorted({f.domain for f in self.files}))

    def of_domain(self, domain: str) -> tuple[ImageFile, ...]:
        return tuple(f for f in self.files if f.domain == domain)

    def counts(self) -> dict[str, dict[str, int]]:
        """domain folder -> class folder -> images; empty class folders count 0."""
        found: dict[str, dict[str, int]] = {d: {} for d in self.domains}
        for domain, cls in self.empty:
            found[domain][cls] = 0
        for f in self.files:
            found[f.domain][f.cls] = found[f.domain].get(f.cls, 0) + 1
        return found

    def read(self, member: str) -> bytes:
        """The bytes of one file; safe from several threads."""
        return self._archive().read(member) if self.zipped else (self.root / member).read_bytes()

    @cached_property
    def checksums(self) -> dict[str, tuple[int, int]]:
        """member -> (bytes, CRC-32): from a zip's directory, or computed once per state of a folder's file.

        A state is what git's index holds: size, both times and inode. A file that was changed less than two seconds
        before its checksum was taken is read again, since a clock may not have told the two apart.
        """
        if self.zipped:
            infos = self._archive()
            return {f.member: ((i := infos.getinfo(f.member)).file_size, i.CRC) for f in self.files}
        name = hashlib.sha256(os.fsencode(self.root.resolve())).hexdigest()[:32]
        memo = cache_root() / "checksums" / f"{name}.json"
        known, fresh = _read_memo(memo), {}
        for f in self.files:
            stat = (self.root / f.member).stat()
            stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
            old = known.get(f.member)
            if not old or old[:4] != stamp or max(stamp[1:3]) > old[4] - _RACY:
                old = [*stamp, time.time_ns(), zlib.crc32(self.read(f.member))]
            fresh[f.member] = old
        if fresh != known:
            _write_memo(memo, fresh)
        return {member: (entry[0], entry[5]) for member, entry in fresh.items()}

    def read_sound(self, member: str) -> bytes:
        """The bytes of one image file, which are those that the fingerprint speaks of.

        Raises
            DalibError: they are others by now
        """
        content = self.read(member)
        if not self.zipped and self.checksums[member] != (len(content), zlib.crc32(content)):
            raise DalibError(
                f"{self.root / member} is not what its checksum says: changed meanwhile, or damaged; run again"
            )
        return content

    def fingerprint(self, *domains: str) -> str:
        """sha256 over names, sizes and CRCs of the images of some domain folders (default: all).

        A zip and the folder unpacked from it have the same one.
        """
        digest = hashlib.sha256()
        for f in self.files:
            if not domains or f.domain in domains:
                size, crc = self.checksums[f.member]
                digest.update(f"{f.domain}/{f.cls}/{f.name}\0{size}\0{crc}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()


def _read_memo(path: Path) -> dict[str, list[int]]:
    """What is remembered of a folder's files; nothing where the memo is damaged or of an earlier dalib."""
    try:
        content = json.loads(path.read_bytes())
        text = content["files"]
        return json.loads(text) if content["crc"] == zlib.crc32(text.encode()) else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write_memo(path: Path, files: dict[str, list[int]]) -> None:
    text = json.dumps(files)
    write_atomic(path, json.dumps({"crc": zlib.crc32(text.encode()), "files": text}).encode())


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _parts(member: str) -> tuple[str, ...]:
    """Path components, without the `images` between a domain and its classes."""
    parts = PurePosixPath(member).parts
    return (*parts[:-3], *parts[-2:]) if len(parts) >= 4 and parts[-3].lower() == "images" else parts


def _wrapping_folders(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The folders around the domains: shared by all images of the most usual depth, which keep domain/class/name."""
    if not paths:
        return ()
    depth = Counter(map(len, paths)).most_common(1)[0][0]
    usual = [p for p in paths if len(p) == depth]
    shared = 0
    while shared < depth - 3 and len({p[shared] for p in usual}) == 1:
        shared += 1
    return usual[0][:shared]


def _locate(member: str, wrap: tuple[str, ...]) -> ImageFile | None:
    parts = _parts(member)
    inside = parts[len(wrap) :]
    if parts[: len(wrap)] != wrap or len(inside) < 3:
        return None
    return ImageFile(inside[0], inside[1], "/".join(inside[2:]), member)
