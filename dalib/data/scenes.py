"""Pictures with a mask each: `domain/images/*` + `domain/masks/*.png`, and the layouts of Pascal VOC and Cityscapes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import numpy as np
from PIL import Image

from dalib.core.errors import DalibError
from dalib.data.cache import cached_rows
from dalib.data.decode import SIDEWAYS, measure_picture
from dalib.data.folders import ImageTree
from dalib.data.layout import ImageFile
from dalib.data.listing import Listing, naming

LAYOUT = "domain/images/x.jpg with domain/masks/x.png (one channel, value = class) and classes.txt, a name per line"
IGNORE = 255


@dataclass(frozen=True)
class Layout:
    """Folders below a domain, and what is cut off a name's end so that picture and mask have the same."""

    images: str
    masks: str
    image_end: str = ""
    mask_end: str = ""


LAYOUTS = (
    Layout("images", "masks"),
    Layout("JPEGImages", "SegmentationClass"),
    Layout("leftImg8bit", "gtFine", "_leftImg8bit", "_gtFine_labelTrainIds"),
)


class SceneTree(ImageTree):
    """The pictures and masks below a root; a domain without any mask is an unlabelled one, `flat`.

    Attributes
        masks: picture -> its mask
        lonely: masks whose picture is not there
        bare: pictures without a mask in a domain that has masks
        names: lines of classes.txt, or none
    Raises
        DalibError: no picture in a layout that is known
    """

    masks: Mapping[str, str] = MappingProxyType({})

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if not self.root.exists():
            raise DalibError(f"no data at {self.root}; give a folder or .zip with {LAYOUT}")
        self.listing = Listing(root)
        self.zipped, self.lists, self.strays, self.vacant, self.empty = self.listing.zipped, (), (), (), ()
        self.left_out = dict(self.listing.left_out)
        pictures, masks, self.wrap = _divide(self.listing.images)
        if not pictures:
            raise DalibError(f"{self.root} holds no pictures with masks; expected {LAYOUT}")
        self.masks = {p: masks[key] for key, p in pictures.items() if key in masks}
        self.lonely = tuple(sorted(m for key, m in masks.items() if key not in pictures))
        labelled = {key[0] for key in pictures if key in masks}
        self.bare = tuple(sorted(p for key, p in pictures.items() if key[0] in labelled and key not in masks))
        self.files = tuple(sorted(ImageFile(key[0], "", key[1], p) for key, p in pictures.items() if p in self.masks))
        self.flat = {}
        for key, p in sorted(pictures.items()):
            if key[0] not in labelled:
                self.flat[key[0]] = (*self.flat.get(key[0], ()), p)
        self.names = self._read_names()

    def _read_names(self) -> tuple[str, ...]:
        member = "/".join((*self.wrap, "classes.txt"))
        if member not in self.listing.ignored and not (self.listing.base / member).is_file():
            return ()
        text = self.listing.read(member).decode("utf-8-sig", errors="replace")
        names = [line.strip() for line in text.rstrip().split("\n")] if text.strip() else []
        if "" in names:
            raise DalibError(
                f"{self.root}: line {names.index('') + 1} of classes.txt is blank, and a name's line is its value in "
                "the masks; name that value, or take the line out"
            )
        if twice := [name for name in names if names.count(name) > 1]:
            raise DalibError(f"{self.root}: classes.txt names '{twice[0]}' twice; give every value a name of its own")
        return tuple(names)

    @property
    def members(self) -> list[str]:
        """Masks are content too."""
        return [*super().members, *self.masks.values()]

    def counts(self) -> dict[str, dict[str, int]]:
        return {d: {"": len(self.of_domain(d))} for d in self.domains}

    def fingerprint(self, *domains: str) -> str:
        """Of pictures and masks, and of the names of the classes."""
        from hashlib import sha256

        known = {f.member for d in (domains or self.domains) for f in self.of_domain(d)}
        told = [f"{m}\0{self.checksums[mask]}\n" for m, mask in sorted(self.masks.items()) if m in known]
        text = super().fingerprint(*domains) + "\n".join(self.names) + "".join(told)
        return sha256(text.encode(errors="surrogateescape")).hexdigest()

    def describe(self) -> list[str]:
        lines = [f"read as domain/images with masks: domains {len(self.domains)}, pictures {len(self.files)}"]
        lines += [f"'{d}' has no masks: {len(m)} pictures without labels" for d, m in self.flat.items()]
        if self.bare:
            lines.append(f"{len(self.bare)} pictures left out: without a mask ({', '.join(self.bare[:3])})")
        if self.lonely:
            lines.append(f"{len(self.lonely)} masks left out: without a picture ({', '.join(self.lonely[:3])})")
        return lines + self.listing.remarks()


def is_scene_folder(root: str | Path) -> bool:
    """Whether pictures lie beside their masks below a folder or in an archive."""
    if not Path(root).exists():
        return False
    pictures, masks, _ = _divide(Listing(root).images)
    return bool(pictures.keys() & masks.keys())


def looks_like_masks(folders: set[str]) -> bool:
    """Whether these folders of one domain are pictures beside their masks, not classes."""
    return any({layout.images, layout.masks} <= folders for layout in LAYOUTS)


def _divide(members: list[str]) -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], str], tuple[str, ...]]:
    """((domain, name) -> picture, (domain, name) -> mask, folders around the domains)."""
    found: list[tuple[tuple[str, ...], Layout, bool, str]] = []
    for member in members:
        parts = PurePosixPath(member).parts
        for layout in LAYOUTS:
            for folder, is_mask in ((layout.images, False), (layout.masks, True)):
                if folder in parts[1:-1]:
                    found.append((parts, layout, is_mask, member))
    wraps = {parts[: _place(parts, o, is_mask) - 1] for parts, o, is_mask, _ in found}
    wrap = min(wraps, key=len) if wraps else ()
    pictures: dict[tuple[str, str], str] = {}
    masks: dict[tuple[str, str], str] = {}
    for parts, layout, is_mask, member in found:
        at = _place(parts, layout, is_mask)
        domain = "/".join(parts[len(wrap) : at])
        stem = PurePosixPath(parts[-1]).stem
        end = layout.mask_end if is_mask else layout.image_end
        if not domain or not stem.endswith(end) or (is_mask and not member.lower().endswith(".png")):
            continue
        name = "/".join((*parts[at + 1 : -1], stem.removesuffix(end)))
        (masks if is_mask else pictures)[domain, name] = member
    return pictures, masks, wrap


def _place(parts: tuple[str, ...], layout: Layout, is_mask: bool) -> int:
    """Which folder of a path is that of pictures or masks; the one above it is the domain."""
    return parts.index(layout.masks if is_mask else layout.images, 1)


def decode_mask(content: bytes, resize: int = 0) -> np.ndarray:
    """Encoded mask -> (R, R) uint8 of its values, or (H, W) where resize = 0; the value under a pixel's middle.

    Raises
        ValueError: several channels, or values above 255
    """
    with Image.open(io.BytesIO(content)) as image:
        if image.mode not in ("L", "P", "1", "I", "I;16"):
            raise ValueError(f"{image.mode}: a mask has one channel, whose values are classes, not colours")
        values = np.asarray(image)
    if values.dtype != np.uint8:
        if values.min() < 0 or values.max() > IGNORE:
            raise ValueError(f"values from {values.min()} to {values.max()}; classes are 0 to 254, {IGNORE} is none")
        values = values.astype(np.uint8)
    return warp_mask(values, resize) if resize else values


def warp_mask(values: np.ndarray, height: int, width: int = 0) -> np.ndarray:
    """(H, W) -> (height, width): the value under each pixel's middle; width 0 = height."""
    rows, columns = (
        (2 * np.arange(m) + 1) * n // (2 * m) for m, n in zip((height, width or height), values.shape, strict=True)
    )
    return np.ascontiguousarray(values[rows][:, columns])


def read_pair(tree: SceneTree, picture: str) -> np.ndarray:
    """The mask (H, W) of a picture, whose values are not looked at.

    Raises
        DalibError: it cannot be read, is of another size than its picture, or nobody can know which way up it is meant,
            for the picture is shown turned (EXIF) and has the same size either way
    """
    mask = tree.masks[picture]
    with naming(tree.root, mask):
        values = decode_mask(tree.read_sound(mask))
        width, height, turn = measure_picture(tree.read(picture))
    if values.shape != (height, width):
        raise DalibError(
            f"mask {mask} in {tree.root} has {values.shape[1]} x {values.shape[0]} pixels, its picture {width} x "
            f"{height}; make them alike"
        )
    if turn > 1 and (turn < SIDEWAYS or width == height):
        raise DalibError(
            f"picture {picture} in {tree.root} is shown turned (EXIF orientation {turn}), and its mask may be meant "
            "before or after; save it turned, without the tag (PIL's ImageOps.exif_transpose)"
        )
    return values


def decode_masks(tree: SceneTree, domain: str, resize: int, classes: int) -> np.ndarray:
    """The masks of a domain, in the order of `tree.of_domain`: (n, R, R) uint8, read-only memory map.

    Raises
        DalibError: a mask cannot be read, is of another size than its picture, or holds a value that is no class
    """
    files = tree.of_domain(domain)

    def decode(member: str) -> np.ndarray:
        values = read_pair(tree, member)
        strange = values[(values >= classes) & (values != IGNORE)]
        if len(strange):
            raise DalibError(
                f"mask {tree.masks[member]} in {tree.root} holds {strange.max()}, but there are {classes} classes (0 "
                f"to {classes - 1}); name it in classes.txt, or make it {IGNORE}, which counts nothing"
            )
        return warp_mask(values, resize)

    key = f"masks2:{tree.fingerprint(domain)}:{domain}:{resize}:{classes}"
    shape = (len(files), resize, resize)
    return cached_rows(f"masks-{domain}-{resize}", key, shape, np.uint8, lambda: (decode(f.member) for f in files))
