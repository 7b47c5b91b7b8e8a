"""Archives: which kind a file is, names in a zip, a tar unpacked into the cache."""

from __future__ import annotations

import contextlib
import hashlib
import lzma
import os
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

from dalib.core.errors import DalibError
from dalib.core.limits import amount_of, refuse_bomb
from dalib.data.cache import cache_root
from dalib.data.memo import read_memo, write_memo

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
BROKEN, SPECIAL, OUTSIDE = "a link to nothing", "no ordinary file", "a path that leads out of the archive"
_OTHERS = {
    b"Rar!": "RAR archive",
    b"7z\xbc\xaf\x27\x1c": "7-Zip archive",
    b"\x28\xb5\x2f\xfd": "Zstandard file",
    b"\x1f\x8b": "gzip file without a tar in it",
    b"MSCF": "cabinet archive",
    b"version https://git-lfs": "Git LFS pointer, not the file itself (git lfs pull)",
}
"""First bytes -> what people also pack images into."""
_LOST = ".dalib-left-out.json"


def find_kind(path: Path) -> str:
    """`zip` or `tar`, by the content of a file.

    Raises
        DalibError: it is another kind of archive, or none
    """
    with path.open("rb") as file:
        start = file.read(64)
    if zipfile.is_zipfile(path):
        return "zip"
    name = path.name.lower()
    with contextlib.suppress(OSError, EOFError):
        if name.endswith(ARCHIVES[1:]) or tarfile.is_tarfile(path):
            return "tar"
    if name.endswith((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")):
        raise DalibError(f"{path} is one picture; give a folder or an archive ({', '.join(ARCHIVES)}) of them")
    for first, what in _OTHERS.items():
        if start.startswith(first):
            raise DalibError(f"{path} is a {what}; unpack it and give the folder, or pack it as .zip or .tar")
    return "zip"


def zip_name(info: zipfile.ZipInfo) -> str:
    """A member's path with slashes; as UTF-8 where its bytes are that, whether or not the zip says so."""
    name = info.filename
    if not info.flag_bits & 0x800 and not name.isascii():
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    if "\\" in name and "/" not in name:
        name = re.sub(r"^[A-Za-z]:", "", name.replace("\\", "/"))
    return name


def unpack(path: Path) -> tuple[Path, dict[str, str]]:
    """(the folder in the cache that a tar is unpacked into, once per state of the tar; path -> why it is not there).

    Links within the tar become files.

    Raises
        DalibError: it is damaged, holds more than `DALIB_MAX_UNPACKED` (50G), or so much more than it has itself that
            nobody packed pictures
    """
    state = path.stat()
    told = f"2 {path.resolve()} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"
    folder = cache_root() / "unpacked" / hashlib.sha256(os.fsencode(told)).hexdigest()[:32]
    if folder.is_dir():
        return folder, read_memo(folder / _LOST) or {}
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside, lost = Path(tempfile.mkdtemp(dir=folder.parent)), dict[str, str]()
    try:
        with tarfile.open(path) as archive:
            _write_members(archive, aside, lost, path)
        write_memo(aside / _LOST, lost)
        with contextlib.suppress(OSError):  # another process was first
            aside.rename(folder)
    except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        place = Path(str(error.filename)).relative_to(aside) if error.filename else "a name"
        raise DalibError(f"{path} holds {place} within a file of that name; unpack it by hand") from None
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # of the disk, not of the file
        raise DalibError(f"{path} is not a readable tar ({error}); fetch it again") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder, lost


def unpack_into(path: Path, folder: Path) -> None:
    """A tar's ordinary files into a folder; DalibError if it is damaged or holds a path that leads out of it."""
    lost = dict[str, str]()
    try:
        with tarfile.open(path) as archive:
            outside = [m.name for m in archive if ".." in m.name.split("/")]
            if outside:
                raise DalibError(f"{path} holds {outside[0]!r}, which leads out of the folder; it is refused")
        with tarfile.open(path) as archive:
            _write_members(archive, folder, lost, path, fresh=False)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DalibError(f"{path} is not a readable tar ({error}); remove it and fetch it again") from error


def _write_members(archive: tarfile.TarFile, to: Path, lost: dict[str, str], path: Path, fresh: bool = True) -> None:
    """fresh: the folder was empty, so that a file that is there has another's name"""
    left, unpacked, written = amount_of("DALIB_MAX_UNPACKED", "50G"), 0, set[str]()
    for member in archive:
        parts = [p for p in member.name.split("/") if p not in ("", ".")]
        if member.isdir() or not parts:
            continue
        content = None
        if ".." not in parts:
            with contextlib.suppress(KeyError):  # a link to nothing in the tar
                content = archive.extractfile(member)
        if content is None:
            lost[member.name] = OUTSIDE if ".." in parts else BROKEN if member.issym() or member.islnk() else SPECIAL
            continue
        unpacked += member.size
        refuse_bomb(path, unpacked)
        place, inside = to.joinpath(*parts), "/".join(parts)
        if fresh and inside not in written and _is_there(place):
            raise DalibError(
                f"{path} holds {inside} and another file whose name is the same to this system (case, marks); "
                "rename one of them, or pack a zip, which is not unpacked"
            )
        written.add(inside)
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:
            while block := content.read(1 << 20):
                left -= len(block)
                if left < 0:
                    raise DalibError(f"{path} unpacks to more than DALIB_MAX_UNPACKED; unpack it by hand, or set that")
                file.write(block)


def _is_there(path: Path) -> bool:
    """To this system, which may not tell upper from lower case. A folder is another matter."""
    return path.is_file()
