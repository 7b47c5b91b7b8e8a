"""`dalib data verify` of pictures with boxes: what is missing, malformed, outside, without a name, or twice there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.registry import DATASETS
from dalib.data.box_marks import Marks
from dalib.data.boxes import BoxTree, place_boxes, unknown_classes
from dalib.data.catalog import load_data
from dalib.data.decode import decode_image, measure_picture
from dalib.data.layout import ImageFile
from dalib.data.roots import find_root
from dalib.data.verify import Finding, sort_findings

KINDS = {
    "incomplete": "differs from the declaration, or cannot be loaded",
    "unreadable": "a picture or a file of boxes that cannot be read",
    "malformed": "a line or an entry of a file of boxes that is not what it should be",
    "names": "a class's name that cannot be used, or is there twice",
    "size": "a picture of another size than the file of its boxes says",
    "turned": "a picture that is shown turned (EXIF), with boxes that may be meant before or after",
    "unknown class": "a box whose class has no name",
    "no area": "a box that holds nothing",
    "box outside": "a box that reaches beyond its picture",
    "no picture": "a picture that is named, and not there; of files of boxes of one picture: they are never used",
    "no boxes": "a picture of which no boxes are said beside pictures that have them; it is never used",
    "duplicate box": "the same class at the same place in one picture: it counts twice",
    "absent class": "a class of which a domain has no box",
    "left out": "not an image that is read, or a link that is not followed; it is never used",
    "duplicate": "same bytes as another picture of its domain",
    "duplicate across domains": "same bytes as a picture of another domain",
}
"""Kind of finding -> what it means, gravest first."""


def verify_boxes(
    root: str | Path | None, dataset: str = "box_folder", progress: Callable[[int, int], None] | None = None
) -> list[Finding]:
    """Read every picture and every file of boxes of a root and list what is wrong, gravest kinds first.

    Args
        root: as in `load_data`
        dataset: also compare domains, classes and counts with this declaration
        progress: called with (pictures read, pictures in all)
    Raises
        DalibError: the root is missing, or what it holds can be read in several ways
    """
    info = DATASETS.get(dataset)
    tree = BoxTree(find_root(info, root))
    findings = [Finding("no boxes", _domain(tree, m), "", m, "no boxes are said of it") for m in tree.bare]
    findings += [Finding("no picture", _domain(tree, m), "", m, "no picture of that name") for m in tree.lonely]
    findings += [Finding("left out", "", "", member, why) for member, why in tree.left_out.items()]
    for domain, told in tree.told.items():
        findings += [Finding(f.kind, domain, "", f.member, _detail(f.place, f.detail)) for f in told.faults]
        if told.missing:
            member = next(iter(told.marks.values())).member if told.marks else ""
            findings += [Finding("no picture", domain, "", member, f"{name!a} is not there") for name in told.missing]
    classes, differences = _declared(info, tree, dataset)
    findings += [Finding("incomplete", "", "", "", text) for text in differences]
    seen: dict[str, ImageFile] = {}
    done, total = 0, sum(len(tree.of_domain(d)) for d in (*tree.domains, *tree.flat))
    for domain in (*tree.domains, *tree.flat):
        for file, digest, problems in _examine_domain(tree, domain, classes):
            done += 1
            if progress:
                progress(done, total)
            findings += [Finding(kind, domain, "", member, detail) for kind, member, detail in problems]
            twin = seen.setdefault(digest, file) if digest else file
            if twin is not file:
                kind = "duplicate" if twin.domain == domain else "duplicate across domains"
                findings.append(Finding(kind, domain, "", file.member, f"same bytes as {twin.member}"))
        if domain in tree.told:
            used = {kind for marks in tree.told[domain].marks.values() for kind in marks.kinds}
            absent = [name for name in classes if name not in used]
            findings += [Finding("absent class", domain, name, "", "no box of it") for name in absent]
    return sort_findings(findings, KINDS)


def _declared(info: DatasetInfo, tree: BoxTree, dataset: str) -> tuple[tuple[str, ...], list[str]]:
    """The classes' names, and how the data differ from what is declared."""
    try:
        classes = info.classes or tree.classes()
    except DalibError as error:
        return (), [str(error)]
    if any(told.faults or told.missing for told in tree.told.values()):
        return classes, []
    try:
        note = load_data(dataset, tree.root, partial=True).note
    except DalibError as error:
        return classes, [str(error)]
    return classes, [part for part in note.split(", ") if part]


def _domain(tree: BoxTree, member: str) -> str:
    inside = "/".join(member.split("/")[len(tree.wrap) :])
    known = [d for d in (*tree.told, *tree.flat) if inside.startswith(f"{d}/")]
    return max(known, key=len, default="")


def _detail(place: str, detail: str) -> str:
    return f"{place}: {detail}" if place else detail


def _examine_domain(
    tree: BoxTree, domain: str, classes: tuple[str, ...]
) -> Iterator[tuple[ImageFile, str, list[tuple[str, str, str]]]]:
    marks = tree.told[domain].marks if domain in tree.told else {}
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        yield from pool.map(
            lambda f: (f, *_examine(tree, f.member, marks.get(f.member), classes)), tree.of_domain(domain)
        )


def _examine(
    tree: BoxTree, member: str, marks: Marks | None, classes: tuple[str, ...]
) -> tuple[str, list[tuple[str, str, str]]]:
    """(digest of the picture, problems as (kind, member, detail))."""
    try:
        content = tree.read(member)
        decode_image(content, 8)
        size = measure_picture(content)
    except Exception as error:  # whatever a damaged file makes Pillow raise
        return "", [("unreadable", member, str(error).partition("<")[0].strip() or type(error).__name__)]
    digest = hashlib.sha256(content).hexdigest()
    if marks is None:
        return digest, []
    label = {name: k for k, name in enumerate(classes)}
    corners, faults = place_boxes(marks, *size)
    faults += unknown_classes(marks, label) if classes else []
    problems = [(f.kind, f.member, _detail(f.place or member, f.detail)) for f in faults]
    where: dict[tuple[str, tuple[float, ...]], list[str]] = {}
    for kind, box, place in zip(marks.kinds, corners.tolist(), marks.places, strict=True):
        where.setdefault((kind, tuple(box)), []).append(str(place))
    for (kind, _), places in where.items():
        if len(places) > 1:
            told = f"{marks.unit} {' and '.join(places[:3])}: '{kind}' {len(places)} times in {member}"
            problems.append(("duplicate box", marks.member, told))
    return digest, problems
