"""Where in a path the domain, the class and the image are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath

LAYOUT = "domain/class/image.jpg or domain/images/class/image.jpg, as a folder or a .zip"
SPLITS = (
    "train",
    "training",
    "test",
    "testing",
    "val",
    "valid",
    "validation",
    "dev",
    "eval",
    "unlabeled",
    "unlabelled",
)


@dataclass(frozen=True, order=True)
class ImageFile:
    """One image: folder names of its domain and class, its name below them, and its path inside the root."""

    domain: str
    cls: str
    name: str
    member: str


def split_member(member: str) -> tuple[str, ...]:
    """Path components, without the `images` between a domain and its classes."""
    parts = PurePosixPath(member).parts
    return (*parts[:-3], *parts[-2:]) if len(parts) >= 4 and parts[-3].lower() == "images" else parts


def find_wrap(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The folders around the domains: shared by all images of the most usual depth, which keep domain/class/name."""
    if not paths:
        return ()
    depth = Counter(map(len, paths)).most_common(1)[0][0]
    usual = [p for p in paths if len(p) == depth]
    shared = 0
    while shared < depth - 3 and len({p[shared] for p in usual}) == 1:
        shared += 1
    return usual[0][:shared]


def locate(member: str, wrap: tuple[str, ...]) -> ImageFile | None:
    """The image that a path is, inside the folders around the domains; None if it lies too high."""
    parts = split_member(member)
    inside = parts[len(wrap) :]
    if parts[: len(wrap)] != wrap or len(inside) < 3:
        return None
    return ImageFile(inside[0], inside[1], "/".join(inside[2:]), member)
