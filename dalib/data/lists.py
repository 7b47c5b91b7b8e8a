"""Lists of images, a line `path label` each: one text file per domain beside flat folders of pictures."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from dalib.data.listing import Listing, naming

_LINE = re.compile(r"^(.+?)[ \t,]+(\d+)$")
MISSING = "named by a list, but not there"


def read_lists(listing: Listing) -> dict[str, dict[str, int]]:
    """domain -> {image: label}, from every .txt whose lines name images of the listing; empty where there is none.

    A path counts from the root, from the list's own folder, or, where that fits no image, by its last parts. Images
    that a list names and nobody has are noted in `listing.left_out`.
    """
    known, domains = set(listing.images), {}
    by_name: dict[str, list[str]] = {}
    for image in listing.images:
        by_name.setdefault(PurePosixPath(image).name, []).append(image)
    for member in sorted(m for m in listing.ignored if m.lower().endswith(".txt")):
        if listing.size(member) > 200e6:
            continue
        with naming(listing.root, member):
            content = listing.read(member)
        lines = content.decode("utf-8", "surrogateescape").splitlines()
        parsed = [(m[1].replace("\\", "/"), int(m[2])) for line in lines if (m := _LINE.match(line.strip()))]
        if not parsed or len(parsed) < len([line for line in lines if line.strip()]):
            continue
        here = PurePosixPath(member).parent
        placed = {path: _place(path, here, known, by_name) for path, _ in parsed}
        labels = {place: label for path, label in parsed if (place := placed[path])}
        if labels:
            name = re.sub(r"[_-]?(image)?[_-]?list$", "", PurePosixPath(member).stem) or PurePosixPath(member).stem
            domains[name] = labels
            listing.left_out.update({path: MISSING for path, place in placed.items() if not place})
    return domains


def name_labels(domains: Mapping[str, Mapping[str, int]]) -> dict[int, str]:
    """label -> class: the folder that all of its images lie in, in every list, else the number in equal width."""
    folders: dict[int, set[str]] = {}
    for images in domains.values():
        for image, label in images.items():
            folders.setdefault(label, set()).add(PurePosixPath(image).parent.name)
    names = {label: next(iter(f)) for label, f in folders.items() if len(f) == 1}
    if len(names) == len(folders) == len(set(names.values())) > 1:
        return names
    width = len(str(max(folders)))
    return {label: f"{label:0{width}d}" for label in folders}


def _place(path: str, here: PurePosixPath, known: set[str], by_name: Mapping[str, Sequence[str]]) -> str:
    path = re.sub(r"^(\./)+", "", path)
    for candidate in (path, posixpath.normpath(here / path), str(here.parent / path)):
        if candidate in known:
            return candidate
    alike = by_name.get(PurePosixPath(path).name, ())
    ends = [image for image in alike if f"/{path}".endswith(f"/{image}") or f"/{image}".endswith(f"/{path}")]
    return ends[0] if len(ends) == 1 else ""
