"""Pictures with boxes: `domain/images/*` beside a COCO file, Pascal VOC's XML or YOLO's lines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from dalib.core.errors import DalibError
from dalib.core.limits import largest_file
from dalib.data.box_classes import find_classes, read_class_file
from dalib.data.box_coco import read_coco
from dalib.data.box_layouts import LAYOUT, Found, find_boxes
from dalib.data.box_marks import Annotations, Fault, Marks
from dalib.data.box_voc import read_voc
from dalib.data.box_yolo import read_yolo
from dalib.data.cache import cached_rows
from dalib.data.decode import SIDEWAYS, measure_picture
from dalib.data.folders import ImageTree
from dalib.data.layout import SPLITS, ImageFile
from dalib.data.listing import Listing, naming

SLACK = 1.0
"""Pixels by which a box may reach beyond its picture, as rounding makes it; it is cut there."""
THINNEST = 1e-3
"""Pixels of a box's side below which it holds nothing: labels are float32."""
WIDTH = 5
"""class, left, top, right, bottom"""


class BoxTree(ImageTree):
    """The pictures and boxes below a root; a domain without any file of boxes is an unlabelled one, `flat`.

    Attributes
        told: domain -> what its files say; `told[domain].faults` is what is wrong with them
        bare: pictures without boxes said of them, in a domain that has some
        lonely: files of boxes whose picture is not there
        listed: lines of classes.txt, or none
    Raises
        DalibError: no picture in a layout that is known, a domain whose boxes are there in two ways
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if not self.root.exists():
            raise DalibError(f"no data at {self.root}; give a folder or .zip with {LAYOUT}")
        self.listing = Listing(root)
        self.zipped, self.lists, self.strays, self.vacant, self.empty = self.listing.zipped, (), (), (), ()
        self.left_out = dict(self.listing.left_out)
        found, self.wrap = find_boxes(self.root, self.listing)
        self.listed = read_class_file(self.root, self.listing, self.wrap)
        self._refuse_splits(sorted(found))
        self.told: dict[str, Annotations] = {}
        self.lonely: tuple[str, ...] = ()
        self.flat, bare, files = {}, list[str](), list[ImageFile]()
        for domain, there in sorted(found.items()):
            members = [ImageFile(domain, "", name, m) for name, m in there.pictures.items()]
            if not there.layout:
                self.flat[domain] = tuple(sorted(f.member for f in members))
                continue
            told = self.told[domain] = self._read(domain, there)
            self.lonely += tuple(there.lonely)
            files += [f for f in members if f.member in told.marks]
            bare += [f.member for f in members if f.member not in told.marks]
        self.files, self.bare = tuple(sorted(files)), tuple(sorted(bare))
        if not self.told:
            raise DalibError(f"{self.root} holds pictures, but no files of boxes; expected {LAYOUT}")

    def _refuse_splits(self, domains: Sequence[str]) -> None:
        alike = [d for d in domains if d.rsplit("/", 1)[-1].lower() in SPLITS]
        if alike:
            raise DalibError(
                f"{self.root} can be read in two ways: {', '.join(alike[:3])} look like splits of one domain; or they "
                "are domains: move their pictures into domain/images/ for the first, rename the folders for the second"
            )

    def _read(self, domain: str, there: Found) -> Annotations:
        def opened() -> Sequence[tuple[str, str, bytes]]:
            return [(m, p, self._bytes(m)) for m, p in sorted(there.files.items())]

        if there.layout == "COCO":
            (member,) = there.files
            told = read_coco(member, self._bytes(member), there.resolve)
        elif there.layout == "Pascal VOC":
            told = read_voc(opened(), {PurePosixPath(m).name for m in there.pictures.values()})
        else:
            names = find_classes(self.root, self.listing, self.wrap, domain, there)
            told = read_yolo(opened(), names)
        if not told.marks and not told.faults:
            told.fault(
                "no picture", min(there.files, default=domain), "", f"it names none of the pictures of '{domain}'"
            )
        return told

    def _bytes(self, member: str) -> bytes:
        try:
            return self.listing.read(member)
        except (OSError, ValueError, NotImplementedError, RuntimeError) as error:
            raise DalibError(f"cannot read {member} in {self.root} ({error}); mend it, or fetch it again") from error

    def refuse(self, *domains: str) -> None:
        """DalibError for the first thing that is wrong with the files of boxes."""
        refuse_faults(self, [fault for d in domains or sorted(self.told) for fault in self.told[d].faults])

    def classes(self) -> tuple[str, ...]:
        """Names in the order of classes.txt, else in that of all domains' files, else sorted; `background` only where a
        box has that class.

        Raises
            DalibError: no class has a name
        """
        used = {kind for told in self.told.values() for marks in told.marks.values() for kind in marks.kinds}
        named = {name for told in self.told.values() for name in told.names}
        orders = {tuple(told.names) for told in self.told.values()}
        order = self.listed or (orders.pop() if len(orders) == 1 else tuple(sorted(named)))
        names = tuple(name for name in order if name.lower() != "background" or name in used)
        if not names:
            raise DalibError(f"{self.root} names no class; give {LAYOUT}")
        return names

    def content(self, *domains: str) -> str:
        """sha256 of the pictures of domains and of what is said of them, wherever and in whatever layout."""
        digest = hashlib.sha256("\n".join((self.fingerprint(*domains), *self.classes())).encode())
        for domain in sorted(d for d in domains or self.told if d in self.told):
            for file in self.of_domain(domain):
                marks = self.told[domain].marks[file.member]
                head = f"{file.name}\0{marks.relative}\0" + "\0".join(marks.kinds)
                digest.update(head.encode(errors="surrogatepass"))
                digest.update(np.array(marks.corners, np.float64).tobytes())
        return digest.hexdigest()

    def counts(self) -> dict[str, dict[str, int]]:
        return {d: {"": len(self.of_domain(d))} for d in self.domains}

    def describe(self) -> list[str]:
        layouts = sorted({told.layout for told in self.told.values()})
        boxes = sum(len(marks.kinds) for told in self.told.values() for marks in told.marks.values())
        where = f"domains {len(self.domains)}, pictures {len(self.files)}, boxes {boxes}"
        lines = [f"read as domain/images with boxes ({', '.join(layouts)}): {where}"]
        lines += [f"'{d}' has no boxes: {len(m)} pictures without labels" for d, m in self.flat.items()]
        if self.bare:
            lines.append(f"{len(self.bare)} pictures left out: no boxes are said of them ({', '.join(self.bare[:3])})")
        if self.lonely:
            lines.append(f"{len(self.lonely)} files of boxes left out: no such picture ({', '.join(self.lonely[:3])})")
        for domain, told in self.told.items():
            what = "boxes around a crowd" if told.layout == "COCO" else "objects that are called difficult"
            lines += [f"'{domain}': {told.crowds} {what} left out"] if told.crowds else []
            lines += [f"'{domain}' counts pixels from 0, not from 1 as Pascal VOC does"] if told.from_zero else []
        return lines + self._lacking() + self.listing.remarks()

    def _lacking(self) -> list[str]:
        """Domains without a box of a class that others have: trained on them nobody finds it, tested it weighs."""
        used = {d: {kind for marks in told.marks.values() for kind in marks.kinds} for d, told in self.told.items()}
        every = sorted(set().union(*used.values()))
        gone = {domain: [kind for kind in every if kind not in kinds] for domain, kinds in used.items()}
        return [
            f"'{domain}' has no box of {', '.join(kinds[:5])}{' …' if len(kinds) > 5 else ''}, which others have; a "
            "model trained on it cannot find them, and they count in the average precision of others"
            for domain, kinds in gone.items()
            if kinds
        ]


def refuse_faults(tree: BoxTree, faults: Sequence[Fault]) -> None:
    """DalibError that names the first of some faults, if there are any."""
    if faults:
        more = f" ({len(faults)} faults in all; dalib data verify lists them)" if len(faults) > 1 else ""
        raise DalibError(f"{tree.root}: {faults[0]}{more}; mend the file")


def place_boxes(marks: Marks, width: int, height: int, turn: int = 1) -> tuple[np.ndarray, list[Fault]]:
    """The boxes of a picture of that size in its pixels (m, 4), cut where they reach `SLACK` beyond it; and what is
    wrong with them.

    Args
        turn: EXIF's orientation; of a turned picture nobody can know whether boxes were drawn before or after, but for
            the size that their file gives
    """
    corners = np.array(marks.corners, np.float64).reshape(-1, 4)
    size = (width, height)
    if marks.size != (0, 0) and marks.size != size and not (turn >= SIDEWAYS and marks.size == size[::-1]):
        told = (
            f"it says {marks.size[0]} x {marks.size[1]} pixels, but the picture has {width} x {height}; make them alike"
        )
        return corners, [Fault("size", marks.member, "", told)]
    if turn > 1 and len(corners) and (turn < SIDEWAYS or width == height or marks.size != size):
        told = (
            f"the picture is shown turned (EXIF orientation {turn}), and its boxes may be meant before or after; save "
            "it turned, without the tag (PIL's ImageOps.exif_transpose)"
        )
        return corners, [Fault("turned", marks.member, "", told)]
    sides = np.array([width, height, width, height], np.float64)
    corners = corners * sides if marks.relative else corners
    cut, faults = np.clip(corners, 0, sides), []
    beyond = (np.abs(corners - cut) > SLACK).any(1)
    empty = (cut[:, 2:] - cut[:, :2] < THINNEST).any(1)
    for i in np.flatnonzero(beyond | empty):
        what = f"'{marks.kinds[i]}' from {_point(corners[i, :2])} to {_point(corners[i, 2:])}"
        place = f"{marks.unit} {marks.places[i]}"
        faults.append(Fault("box outside", marks.member, place, f"{what} of a picture of {width} x {height}"))
    return cut, faults


def _point(xy: np.ndarray) -> str:
    return f"({xy[0]:g}, {xy[1]:g})"


def measure_pictures(tree: BoxTree, domain: str) -> np.ndarray:
    """(n, 3) int32: width, height and orientation of the pictures of a domain, in the order of `tree.of_domain`."""
    files = tree.of_domain(domain)

    def measure(member: str) -> np.ndarray:
        with naming(tree.root, member):
            return np.array(measure_picture(tree.read_sound(member)), np.int32)

    key = f"sizes1:{tree.fingerprint(domain)}:{domain}"
    return cached_rows(f"sizes-{domain}", key, (len(files), 3), np.int32, lambda: (measure(f.member) for f in files))


def decode_boxes(
    tree: BoxTree, domain: str, side: int, classes: Sequence[str], alias: Callable[[str], str] = str
) -> np.ndarray:
    """Boxes of the pictures of a domain, in the order of `tree.of_domain`: (n, M, 5) float32, in pixels of pictures
    warped to side x side.

    Rows are class, left, top, right, bottom, the last two exclusive; pictures with fewer than M boxes end in rows of
    class -1 and zeros.

    Args
        alias: name of a class in the files -> its name in `classes`
    Raises
        DalibError: a file of boxes that cannot be read as it is, a class without a name, a box outside of its picture
    """
    tree.refuse(domain)
    files, told = tree.of_domain(domain), tree.told[domain]
    label = {name: k for k, name in enumerate(classes)}
    rows, faults = list[np.ndarray](), list[Fault]()
    for file, (width, height, turn) in zip(files, measure_pictures(tree, domain).tolist(), strict=True):
        marks = told.marks[file.member]
        corners, wrong = place_boxes(marks, width, height, turn)
        faults += wrong or unknown_classes(marks, label, alias)
        kinds = np.array([label.get(alias(kind), -1) for kind in marks.kinds], np.float64)
        x, y = side / width, side / height
        rows.append(np.column_stack([kinds, corners * [x, y, x, y]]))
    refuse_faults(tree, faults)
    most = max([1, *map(len, rows)])
    if len(rows) * most * WIDTH * 4 > largest_file():
        file = files[int(np.argmax([len(r) for r in rows]))]
        raise DalibError(
            f"{tree.root}: {file.member} has {most} boxes, and as many places for each of {len(rows)} pictures are "
            f"more than {largest_file() / 1e6:.0f} MB; look at it, or set DALIB_MAX_FILE higher"
        )
    return pad_boxes(rows)


def pad_boxes(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Boxes (m, 5) of each of n pictures -> (n, M, 5) float32, M the most of them and at least 1."""
    y = np.zeros((len(rows), max([1, *map(len, rows)]), WIDTH), np.float32)
    y[:, :, 0] = -1
    for padded, boxes in zip(y, rows, strict=True):
        padded[: len(boxes)] = boxes
    return y


def unknown_classes(marks: Marks, label: dict[str, int], alias: Callable[[str], str] = str) -> list[Fault]:
    """The boxes whose class has no name."""
    return [
        Fault("unknown class", marks.member, f"{marks.unit} {place}", f"'{kind}' is none of {len(label)} classes")
        for kind, place in zip(marks.kinds, marks.places, strict=True)
        if alias(kind) not in label
    ]
