"""Where pictures and files of boxes lie, by names alone; nothing is opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dalib.core.errors import DalibError
from dalib.data.box_marks import Malformed, brief
from dalib.data.listing import CLUTTER, Listing

LAYOUT = (
    "domain/images/x.jpg with boxes.json (COCO) in the domain's folder, Annotations/x.xml (Pascal VOC), or labels/x.txt"
    " (YOLO) and classes.txt, a name per line"
)
IMAGES = ("images", "JPEGImages")
"""Folders of pictures."""
NAMES = ("classes.txt", "data.yaml", "data.yml")
"""What names YOLO's classes."""


@dataclass
class Found:
    """One domain.

    pictures: name without its ending, below the folder of pictures -> path inside the root
    layout: `COCO`, `Pascal VOC`, `YOLO`, or empty
    files: files of boxes -> their picture (of COCO's one file: empty)
    lonely: files of boxes without a picture
    """

    pictures: dict[str, str] = field(default_factory=dict)
    layout: str = ""
    files: dict[str, str] = field(default_factory=dict)
    lonely: list[str] = field(default_factory=list)
    _ends: dict[str, list[str]] = field(default_factory=dict)

    def resolve(self, name: str) -> str | None:
        """The picture that a COCO file calls by that name: one path ends with the other.

        Raises
            Malformed: several are, or the name leads out of its folder
        """
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if ".." in parts or not parts:
            raise Malformed(
                f"file_name {brief(name, 200)} leads out of its folder; give the name of a picture below it"
            )
        if not self._ends:
            for member in self.pictures.values():
                self._ends.setdefault(PurePosixPath(member).name, []).append(member)
        near = [m for m in self._ends.get(parts[-1], []) if self._agree(parts, PurePosixPath(m).parts)]
        if len(near) > 1:
            several = " or ".join(brief(m, 200) for m in near[:2])
            raise Malformed(f"file_name {brief(name, 200)} may be {several}; give more of its path")
        return near[0] if near else None

    @staticmethod
    def _agree(parts: tuple[str, ...], member: tuple[str, ...]) -> bool:
        """A name is the end of a picture's path, or ends with all of it that is below the folder of pictures."""
        below = member[next(i for i, part in enumerate(member) if i and part in IMAGES) + 1 :]
        return member[-len(parts) :] == parts or parts[-len(below) :] == below


def find_boxes(root: Path, listing: Listing) -> tuple[dict[str, Found], tuple[str, ...]]:
    """domain -> its pictures and files of boxes, and the folders around the domains.

    Raises
        DalibError: no such pictures, a domain has boxes of two layouts, several COCO files, or two pictures of one name
    """
    spots = [(parts, at) for m in listing.images if (at := _place(parts := PurePosixPath(m).parts))]
    if not spots:
        above = any(PurePosixPath(m).parts[0] in IMAGES for m in listing.images)
        hint = "; this looks like one domain: give the folder above it" if above else ""
        raise DalibError(f"{root} holds no pictures in folders {' or '.join(IMAGES)}; expected {LAYOUT}{hint}")
    wrap = _common([parts[: at - 1] for parts, at in spots])
    found: dict[str, Found] = {}
    for parts, at in spots:
        domain = "/".join(parts[len(wrap) : at])
        name = "/".join((*parts[at + 1 : -1], PurePosixPath(parts[-1]).stem))
        pictures, member = found.setdefault(domain, Found()).pictures, "/".join(parts)
        if name in pictures:
            raise DalibError(f"{root}: {pictures[name]} and {member} have the same name; rename one of them")
        pictures[name] = member
    papers = _papers(listing, wrap, found)
    for domain, there in found.items():
        _sort(root, domain, there, papers[domain])
    return found, wrap


def _place(parts: tuple[str, ...]) -> int:
    """Which folder of a path holds pictures; 0 where none does. The one above it is the domain."""
    return next((i for i, part in enumerate(parts[:-1]) if i and part in IMAGES), 0)


def _common(wraps: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The folders that all paths begin with."""
    shared = 0
    while all(len(w) > shared and w[shared] == wraps[0][shared] for w in wraps):
        shared += 1
    return wraps[0][:shared]


def _papers(listing: Listing, wrap: tuple[str, ...], domains: Iterable[str]) -> dict[str, list[str]]:
    """domain -> files below its folder that are no pictures, by their paths below it."""
    papers: dict[str, list[str]] = {domain: [] for domain in domains}
    longest = sorted(papers, key=len, reverse=True)
    for member, why in listing.ignored.items():
        inside = "/".join(PurePosixPath(member).parts[len(wrap) :])
        if why != CLUTTER and PurePosixPath(member).parts[: len(wrap)] == wrap:
            owner = next((d for d in longest if inside.startswith(f"{d}/")), None)
            if owner is not None:
                papers[owner].append(member)
    return papers


def _sort(root: Path, domain: str, there: Found, papers: list[str]) -> None:
    """Which layout a domain's files of boxes have."""
    base = _place(PurePosixPath(next(iter(there.pictures.values()))).parts)
    below = {m: PurePosixPath(m).parts[base:] for m in papers}
    coco = sorted(m for m, parts in below.items() if _is_coco(parts))
    voc = {m: _stem(parts[1:]) for m, parts in below.items() if _is_voc(parts)}
    yolo = {m: _stem(parts[1:]) for m, parts in below.items() if _is_yolo(parts)}
    yolo = {m: name for m, name in yolo.items() if name in there.pictures or not m.endswith("/classes.txt")}
    ways = {"COCO": coco, "Pascal VOC": sorted(voc), "YOLO": sorted(yolo)}
    used = [f"{layout} ({members[0]})" for layout, members in ways.items() if members]
    if len(used) > 1:
        raise DalibError(
            f"{root}: the boxes of '{domain}' are there in {len(used)} ways: {' and '.join(used)}; keep one of them"
        )
    if coco:
        there.layout, there.files = "COCO", {_one_coco(root, domain, coco): ""}
        return
    there.layout = "Pascal VOC" if voc else "YOLO" if yolo else ""
    stems = voc or yolo
    there.files = {m: there.pictures[name] for m, name in stems.items() if name in there.pictures}
    there.lonely = sorted(m for m, name in stems.items() if name not in there.pictures)


def _is_voc(parts: tuple[str, ...]) -> bool:
    return len(parts) > 1 and parts[0].lower() == "annotations" and parts[-1].lower().endswith(".xml")


def _is_yolo(parts: tuple[str, ...]) -> bool:
    return len(parts) > 1 and parts[0] == "labels" and parts[-1].lower().endswith(".txt")


def _stem(parts: tuple[str, ...]) -> str:
    return "/".join((*parts[:-1], PurePosixPath(parts[-1]).stem))


def _is_coco(parts: tuple[str, ...]) -> bool:
    name = parts[-1].lower()
    if not name.endswith(".json"):
        return False
    alone = name == "boxes.json" or name.startswith("instances")
    return (len(parts) == 1 and alone) or (len(parts) == 2 and parts[0].lower() == "annotations")


def _one_coco(root: Path, domain: str, members: list[str]) -> str:
    """The one file of boxes; beside others (captions, key points) the one that COCO would call so."""
    named = [m for m in members if PurePosixPath(m).name.lower().startswith("instances")]
    for several in (members, named):
        if len(several) == 1:
            return several[0]
    raise DalibError(
        f"{root}: the boxes of '{domain}' may be {' or '.join((named or members)[:4])}; leave one of them there, and "
        "move the others out of the domain's folder"
    )


def is_box_folder(root: str | Path) -> bool:
    """Whether pictures lie beside files of boxes below a folder or in an archive."""
    return Path(root).exists() and looks_like_boxes(Listing(root)) != ""


def looks_like_boxes(listing: Listing) -> str:
    """A domain whose files look like boxes of its pictures; empty where none does."""
    spots = {parts[:at] for m in listing.images if (at := _place(parts := PurePosixPath(m).parts))}
    for member in sorted(listing.ignored):
        parts = PurePosixPath(member).parts
        for at in range(1, len(parts)):
            below, folder = parts[at:], parts[:at]
            if folder in spots and (_is_coco(below) or _is_voc(below) or _is_yolo(below)):
                return "/".join(folder)
    return ""
