"""Images as `domain/class/*` or `domain/images/class/*`, in a folder or straight from an archive."""

from __future__ import annotations

import hashlib
import os
import time
import unicodedata
import zlib
from collections.abc import Mapping
from copy import copy
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from dalib.core.errors import DalibError
from dalib.data.cache import cache_root
from dalib.data.layout import LAYOUT, SPLITS, ImageFile, find_wrap, locate, split_member
from dalib.data.listing import ARCHIVES, Listing, naming, summarise
from dalib.data.lists import name_labels, read_lists
from dalib.data.memo import read_memo, write_memo

_RACY = 2 * 10**9


class ImageTree:
    """The images below a root, in a fixed order; contents are read on demand.

    Folders around the domains (`office31/amazon/…`) are skipped. Images that lie too high for a class (`amazon/x.jpg`)
    are `strays`; those of a folder of domains that has no class folders are an unlabelled domain, `flat`.

    Args
        root: a folder or an archive
    Attributes
        files: sorted by domain, class, name
        empty: (domain, class) folders without an image
        vacant: folders beside the domains without any image
        strays: paths of images outside any class folder
        flat: folder without class folders -> its images, unlabelled
        left_out: path -> why
        skipped: images that `without` took out -> why
        wrap: folders around the domains
    Raises
        DalibError: the root is missing, not an archive, has no `domain/class/image`, or can be read in several ways
    """

    skipped: Mapping[ImageFile, str] = MappingProxyType({})

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if not self.root.exists():
            raise DalibError(f"no data at {self.root}; give a folder or .zip with {LAYOUT}")
        self.listing = listing = Listing(root)
        self.zipped = listing.zipped
        images = listing.images
        self.wrap = wrap = find_wrap([split_member(m) for m in images])
        located = {m: locate(m, wrap) for m in images}
        self.files = tuple(sorted(f for f in located.values() if f))
        self.strays = tuple(sorted(m for m, f in located.items() if f is None))
        self.lists: tuple[str, ...] = ()
        if not self.files:
            self._read_lists()
        if not self.files:
            raise DalibError(f"{self.root} holds no images in class folders; expected {LAYOUT}{self._hint()}")
        self._refuse_two_depths()
        domains = {f.domain for f in self.files}
        used = {str(parent) for m in images for parent in PurePosixPath(m).parents}
        vacant = [folder for folder in listing.folders if folder not in used]
        places = (locate(f"{folder}/*", wrap) for folder in vacant)
        self.empty = tuple(sorted((f.domain, f.cls) for f in places if f and f.domain in domains and f.name == "*"))
        tops = [PurePosixPath(f).parts for f in vacant]
        self.vacant = tuple(sorted(p[-1] for p in tops if len(p) == len(wrap) + 1 and p[:-1] == wrap))
        self.flat: dict[str, tuple[str, ...]] = {}
        for member in self.strays:
            parts = PurePosixPath(member).parts
            if len(parts) == len(wrap) + 2 and parts[: len(wrap)] == wrap and parts[-2] not in domains:
                self.flat[parts[-2]] = (*self.flat.get(parts[-2], ()), member)
        inner = {str(PurePosixPath(f.member).parent) for f in self.files}
        if self.lists:
            self.vacant, self.flat, inner = (), {}, set()
        papers = {m: why for m, why in listing.ignored.items() if str(PurePosixPath(m).parent) in inner}
        self.left_out = {**listing.left_out, **papers}

    def _read_lists(self) -> None:
        """Where no folder is a class, lists `path label` may say what the images are."""
        domains, said = read_lists(self.listing)
        if not domains:
            return
        names, listed = name_labels(domains), {m for images in domains.values() for m in images}
        self.lists = said
        self.files = tuple(
            sorted(ImageFile(d, names[k], m, m) for d, images in domains.items() for m, k in images.items())
        )
        self.strays = tuple(m for m in self.strays if m not in listed)

    def _hint(self) -> str:
        deep = {len(split_member(m)) for m in self.strays}
        lists = [m for m in self.listing.ignored if m.endswith(".txt")]
        if deep == {2} and lists:
            return f"; the folders are flat and there are lists ({lists[0]}): lines 'path label' were not found in them"
        if deep == {2}:
            return "; this looks like class/image.jpg: give the folder above it"
        if self.listing.left_out:
            return f"; {'; '.join(self.listing.remarks())}"
        zips = [] if self.root.is_file() else sorted(p.name for p in self.root.iterdir() if p.name.endswith(ARCHIVES))
        inside = [m for m in self.listing.ignored if m.lower().endswith(ARCHIVES)] if self.root.is_file() else []
        if inside:
            return f"; it holds {', '.join(inside[:3])}: unpack it and give that"
        return f"; it holds {', '.join(zips)}: give one of them" if zips else ""

    def _refuse_two_depths(self) -> None:
        """A folder around the domains leaves nothing out that could be a domain itself."""
        outside = [
            m for m in self.strays if len(split_member(m)) >= 3 and split_member(m)[: len(self.wrap)] != self.wrap
        ]
        if self.wrap and outside:
            around, other = "/".join(self.wrap), split_member(outside[0])[0]
            domains = ", ".join(self.domains[:4])
            raise DalibError(
                f"{self.root} can be read in two ways: '{around}' holds the domains {domains}, and {len(outside)} "
                f"images ({outside[0]}) are none of theirs; or '{self.wrap[0]}' and '{other}' are domains, and the "
                f"class folders of '{self.wrap[0]}' hold folders; give {self.root / around} for the first, or lay all "
                "out as domain/class/image.jpg"
            )

    @property
    def deeper(self) -> tuple[ImageFile, ...]:
        """Images in folders below their class folder."""
        return tuple(f for f in self.files if "/" in f.name and not self.lists)

    def levels(self) -> str:
        """Why the class folders may be no classes, with the readings; empty where nothing speaks against it."""
        below: dict[str, set[str]] = {}
        for f in self.deeper:
            below.setdefault(f.cls, set()).add(f.name.split("/")[0])
        if not below:
            return ""
        outer, inner = sorted(below), sorted(set().union(*below.values()))
        upper, lower = (", ".join(names[:3]) + (", …" if len(names) > 3 else "") for names in (outer, inner))
        example = self.deeper[0].member
        said = f"{len(self.deeper)} of {len(self.files)} images lie deeper than domain/class/image ({example}): "
        if any(c.lower() in SPLITS for c in outer):
            return f"{said}{upper} look like splits of a domain, {lower} like the classes"
        if any(d.lower() in SPLITS for d in self.domains):
            return (
                f"{said}{', '.join(self.domains[:3])} look like splits, {upper} like the domains, {lower} the classes"
            )
        return f"{said}either {upper} are the classes, or the folders in them ({lower}) are"

    @property
    def split_like(self) -> bool:
        """Some folder where classes or domains are expected bears a split's name, and holds folders."""
        return bool(self.deeper) and any(n.lower() in SPLITS for n in (*self.domains, *(f.cls for f in self.deeper)))

    def describe(self) -> list[str]:
        """What the root is read as: levels, counts, what was left out and why; a line each."""
        classes = {unicodedata.normalize("NFC", f.cls).strip() for f in self.files}
        around = f"{'/'.join(self.wrap)}/" if self.wrap else ""
        shape = f"{around}domain/class/image" if not self.lists else f"lists of images ({', '.join(self.lists)})"
        counts = f"domains {len(self.domains)}, class folders {len(classes)}, images {len(self.files)}"
        lines = [f"read as {shape}: {counts}"]
        lines += [f"'{d}' has no class folders: {len(m)} images without labels" for d, m in self.flat.items()]
        strays = [m for m in self.strays if not any(m in members for members in self.flat.values())]
        if strays:
            lines.append(f"{len(strays)} images left out: outside any class folder ({', '.join(strays[:3])})")
        if self.deeper:
            lines.append(f"{len(self.deeper)} images lie in folders below their class folder and count as its own")
        lines += [f"'{folder}' holds no image" for folder in self.vacant]
        lines += summarise(self.left_out)
        lines += [f"skipped {f.member}: {why}" for f, why in list(self.skipped.items())[:5]]
        return lines

    @property
    def domains(self) -> tuple[str, ...]:
        """Folder names of the domains, sorted."""
        return tuple(sorted({f.domain for f in self.files}))

    def of_domain(self, domain: str) -> tuple[ImageFile, ...]:
        if domain in self.flat:
            return tuple(sorted(ImageFile(domain, "", m, m) for m in self.flat[domain]))
        return tuple(f for f in self.files if f.domain == domain)

    def without(self, members: Mapping[str, str]) -> ImageTree:
        """The same without some images (path -> why), which are `skipped`."""
        rest = copy(self)
        known = {f.member: f for d in (*self.domains, *self.flat) for f in self.of_domain(d)}
        rest.skipped = {**self.skipped, **{known[m]: why for m, why in members.items()}}
        rest.files = tuple(f for f in self.files if f.member not in members)
        rest.flat = {d: tuple(m for m in flat if m not in members) for d, flat in self.flat.items()}
        rest.strays = tuple(m for m in self.strays if m not in members)
        return rest

    def counts(self) -> dict[str, dict[str, int]]:
        """domain folder -> class folder -> images; empty class folders count 0."""
        counts: dict[str, dict[str, int]] = {d: {} for d in self.domains}
        for domain, cls in self.empty:
            counts[domain][cls] = 0
        for f in self.files:
            counts[f.domain][f.cls] = counts[f.domain].get(f.cls, 0) + 1
        return counts

    def read(self, member: str) -> bytes:
        """The bytes of one file; safe from several threads."""
        return self.listing.read(member)

    @property
    def members(self) -> list[str]:
        """Every file whose content counts."""
        return [f.member for f in self.files] + [m for flat in self.flat.values() for m in flat]

    @cached_property
    def checksums(self) -> dict[str, tuple[int, int]]:
        """member -> (bytes, CRC-32): from a zip's directory, or computed once per state of a folder's file.

        A state is what git's index holds: size, both times and inode. A file that was changed less than two seconds
        before its checksum was taken is read again, since a clock may not have told the two apart.
        """
        members = self.members
        if self.zipped:
            return {m: self.listing.state(m) for m in members}  # type: ignore[misc]
        name = hashlib.sha256(os.fsencode(self.listing.base.resolve())).hexdigest()[:32]
        memo = cache_root() / "checksums" / f"{name}.json"
        known, fresh = read_memo(memo) or {}, {}
        for member in members:
            stat = (self.listing.base / member).stat()
            stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
            old = known.get(member)
            if not old or old[:4] != stamp or max(stamp[1:3]) > old[4] - _RACY:
                with naming(self.root, member):
                    old = [*stamp, time.time_ns(), zlib.crc32(self.read(member))]
            fresh[member] = old
        if fresh != known:
            write_memo(memo, fresh)
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
        flat = [f for d in domains if d in self.flat for f in self.of_domain(d)]
        for f in (*self.files, *flat):
            if not domains or f.domain in domains:
                size, crc = self.checksums[f.member]
                digest.update(f"{f.domain}/{f.cls}/{f.name}\0{size}\0{crc}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()


def lone_folders(folders: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """Domains whose one class folder no domain of several classes has: domain -> that folder, which is no class."""
    used = {d: {c for c, n in classes.items() if n} for d, classes in folders.items()}
    several = set().union(*(c for c in used.values() if len(c) > 1))
    return {d: next(iter(c)) for d, c in used.items() if several and len(c) == 1 and not c & several}
