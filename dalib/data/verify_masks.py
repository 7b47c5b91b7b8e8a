"""`dalib data verify` of pictures with masks: what is missing, of another size, without a name, or twice there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from dalib.core.errors import DalibError
from dalib.core.registry import DATASETS
from dalib.data.catalog import load_data
from dalib.data.decode import decode_image
from dalib.data.layout import ImageFile
from dalib.data.roots import find_root
from dalib.data.scenes import IGNORE, SceneTree, read_pair
from dalib.data.verify import Finding, sort_findings

KINDS = {
    "incomplete": "differs from the declaration, or cannot be loaded",
    "unreadable": "a picture or a mask that cannot be read, or a mask of colours",
    "size": "a mask of another size than its picture",
    "turned": "a picture that is shown turned (EXIF), with a mask that may be meant before or after",
    "unknown class": "a value of a mask, or a box's class, that has no name",
    "no mask": "a picture without a mask beside pictures that have one; it is never used",
    "no picture": "a mask, or a box, whose picture is not there; it is never used",
    "box outside": "a box that reaches beyond its picture, or holds nothing",
    "unlabelled": "a mask in which no pixel has a label",
    "absent class": "a class of which a domain has no pixel",
    "left out": "not an image that is read, or a link that is not followed; it is never used",
    "duplicate": "same bytes as another picture of its domain",
    "duplicate across domains": "same bytes as a picture of another domain",
}
"""Kind of finding -> what it means, gravest first."""


def verify_masks(
    root: str | Path | None, dataset: str = "mask_folder", progress: Callable[[int, int], None] | None = None
) -> list[Finding]:
    """Read every picture and every mask of a root and list what is wrong, gravest kinds first.

    Boxes in `<domain>/boxes.json` (COCO) are compared with the pictures where there are some.

    Args
        root: as in `load_data`
        dataset: also compare domains, classes and counts with this declaration
        progress: called with (pictures read, pictures in all)
    Raises
        DalibError: the root is missing or has no pictures with masks
    """
    info = DATASETS.get(dataset)
    tree = SceneTree(find_root(info, root))
    findings = [Finding("no mask", _domain(m), "", m, "no mask of that name") for m in tree.bare]
    findings += [Finding("no picture", _domain(m), "", m, "no picture of that name") for m in tree.lonely]
    findings += [Finding("left out", "", "", member, why) for member, why in tree.left_out.items()]
    try:
        names = load_data(dataset, tree.root, partial=True).classes
    except DalibError as error:
        names = info.classes or tree.names
        findings.append(Finding("incomplete", "", "", "", str(error)))
    else:
        note = load_data(dataset, tree.root, partial=True).note
        findings += [Finding("incomplete", "", "", "", part) for part in note.split(", ") if part]
    seen: dict[str, ImageFile] = {}
    done, total = 0, sum(len(tree.of_domain(d)) for d in (*tree.domains, *tree.flat))
    for domain in (*tree.domains, *tree.flat):
        pixels = np.zeros(256, np.int64)
        for file, digest, counts, problems in _examine_domain(tree, domain, len(names)):
            done += 1
            if progress:
                progress(done, total)
            findings += [Finding(kind, domain, "", member, detail) for kind, member, detail in problems]
            pixels += counts
            twin = seen.setdefault(digest, file) if digest else file
            if twin is not file:
                kind = "duplicate" if twin.domain == domain else "duplicate across domains"
                findings.append(Finding(kind, domain, "", file.member, f"same bytes as {twin.member}"))
        absent = [name for c, name in enumerate(names) if not pixels[c]] if domain in tree.domains else []
        findings += [Finding("absent class", domain, name, "", "no pixel of it") for name in absent]
        findings += _boxes(tree, domain)
    return sort_findings(findings, KINDS)


def _domain(member: str) -> str:
    return member.split("/")[0]


def _examine_domain(
    tree: SceneTree, domain: str, classes: int
) -> Iterator[tuple[ImageFile, str, np.ndarray, list[tuple[str, str, str]]]]:
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        yield from pool.map(lambda f: (f, *_examine(tree, f.member, classes)), tree.of_domain(domain))


def _examine(tree: SceneTree, member: str, classes: int) -> tuple[str, np.ndarray, list[tuple[str, str, str]]]:
    """(digest of the picture, pixels of each value, problems as (kind, member, detail))."""
    nothing = np.zeros(256, np.int64)
    try:
        content = tree.read(member)
        decode_image(content, 8)
    except Exception as error:  # whatever a damaged file makes Pillow raise
        return "", nothing, [("unreadable", member, str(error).partition("<")[0].strip() or type(error).__name__)]
    digest = hashlib.sha256(content).hexdigest()
    if member not in tree.masks:
        return digest, nothing, []
    mask = tree.masks[member]
    try:
        values = read_pair(tree, member)
    except DalibError as error:
        told = str(error)
        kind = "size" if "make them alike" in told else "turned" if "shown turned" in told else "unreadable"
        return digest, nothing, [(kind, member if kind == "turned" else mask, told.partition("; ")[0])]
    counts = np.bincount(values.ravel(), minlength=256)
    problems = []
    strange = [v for v in np.flatnonzero(counts) if v >= classes and v != IGNORE]
    if strange:
        problems.append(("unknown class", mask, f"{', '.join(map(str, strange[:5]))}; {classes} classes have names"))
    if counts[IGNORE] == values.size:
        problems.append(("unlabelled", mask, f"every pixel is {IGNORE}"))
    return digest, counts, problems


def _boxes(tree: SceneTree, domain: str) -> Iterator[Finding]:
    """What is wrong with the boxes of a domain, if it has some."""
    member = "/".join((*tree.wrap, domain, "boxes.json"))
    if member not in tree.listing.ignored and not (tree.listing.base / member).is_file():
        return
    try:
        told: dict[str, Any] = json.loads(tree.listing.read(member))
        pictures = {p["id"]: p for p in told["images"]}
        kinds, boxes = {k["id"] for k in told["categories"]}, [(b["image_id"], b) for b in told["annotations"]]
        here = {f.member.rsplit("/", 1)[-1] for f in tree.of_domain(domain)}
        for picture in pictures.values():
            if picture["file_name"] not in here:
                yield Finding("no picture", domain, "", member, f"{picture['file_name']} is not there")
        for of, box in boxes:
            where = f"box {box['id']}"
            left, top, width, height = box["bbox"]
            if of not in pictures:
                yield Finding("no picture", domain, "", member, f"{where} is of picture {of}, which is not listed")
                continue
            size = (pictures[of]["width"], pictures[of]["height"])
            if min(left, top) < 0 or left + width > size[0] or top + height > size[1] or min(width, height) <= 0:
                yield Finding("box outside", domain, "", member, f"{where} {box['bbox']} of a picture of {size}")
            if box["category_id"] not in kinds:
                yield Finding("unknown class", domain, "", member, f"{where} is of class {box['category_id']}")
    except (KeyError, TypeError, ValueError) as error:
        yield Finding("unreadable", domain, "", member, f"no COCO boxes ({type(error).__name__}: {error})")
