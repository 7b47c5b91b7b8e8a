"""`dalib data verify`: files that are unreadable, empty, tiny, duplicated, or whose label looks wrong."""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dalib.core.errors import DalibError
from dalib.core.registry import DATASETS
from dalib.data.answered import Answers, find_answers
from dalib.data.answers import odd_answers
from dalib.data.declaration import match_declaration
from dalib.data.decode import decode_image, find_depth
from dalib.data.folders import ImageTree, lone_folders
from dalib.data.layout import ImageFile
from dalib.data.roots import find_root
from dalib.data.suspects import describe_images, find_suspects

SKIPPED = "skipped"
ODD_ANSWERS = "an answer that is alike in all rows of a domain, or that may be in another unit than in others"
KINDS = {
    "incomplete": "differs from the declaration",
    "answers": "a domain's table of answers cannot be used",
    "levels": "folders where images are expected: which level are the classes?",
    "unreadable": "truncated or not an image",
    "empty": "a file of 0 bytes, or a class folder without images",
    "stray": "an image outside any class folder; it is never used",
    "left out": "not an image that is read, or a link that is not followed; it is never used",
    "odd answers": ODD_ANSWERS,
    "blank": "every pixel is the same",
    "depth": "16-bit files of a domain are read as of different depths: they may be brighter or darker than meant",
    "tiny": "a side shorter than 8 pixels",
    "duplicate": "same bytes as another file of its domain and class",
    "duplicate across domains": "same bytes as a file of the same class in another domain",
    "duplicate across classes": "same bytes as a file with another label: at least one label is wrong",
    "looks mislabelled": "a guess (see `dalib.data.suspects`): look at the image before you believe it",
    SKIPPED: "an image that cannot be read and that --skip-unreadable (skip_unreadable=True) leaves out",
}
"""Kind of finding -> what it means, gravest first."""

TINY = 8
_RATIO = {"descriptors": 50.0, "embedding": 20.0}


@dataclass(frozen=True)
class Finding:
    """Something to look at.

    kind: a key of `KINDS`; meaning: what that says
    domain, cls, file: names inside the root, or empty
    """

    kind: str
    domain: str
    cls: str
    file: str
    detail: str
    meaning: str = ""


@dataclass(frozen=True)
class _Examined:
    file: ImageFile
    digest: str
    pixels: np.ndarray | None
    problem: tuple[str, str] | None
    depth: int = 0


def verify_root(
    root: str | Path | None,
    dataset: str = "image_folder",
    embed: Callable[[np.ndarray], np.ndarray] | None = None,
    resize: int = 64,
    skip_unreadable: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Finding]:
    """Read every image of a root and list what is wrong, gravest kinds first.

    Args
        root: as in `load_data`
        dataset: also compare domains, classes and counts with this declaration
        embed: images (n, 3, resize, resize) uint8 -> features (n, d) of a pretrained network; finds wrong labels far
            better than the built-in descriptors (figures in `dalib.data.suspects`)
        resize: side in pixels of the images compared; with `embed`, what the network wants
        skip_unreadable: an image that cannot be read is of the kind `skipped`
        progress: called with (files read, files in all)
    Raises
        DalibError: the root is missing or has no class folders
    """
    info = DATASETS.get(dataset)
    tree = ImageTree(find_root(info, root))
    own, counts = not info.domains, tree.counts()
    lone = lone_folders(counts) if own else {}
    labelled = {d: c for d, c in counts.items() if d not in lone}
    differences = match_declaration(info, labelled, str(tree.root)).differences
    findings = [Finding("incomplete", "", "", "", difference) for difference in differences]
    try:
        answers = find_answers(tree)
    except DalibError as error:
        findings.append(Finding("answers", "", "", "", str(error).removeprefix(f"{tree.root}: ")))
        answers = None
    if answers is not None:
        findings = [f for f in findings if f.kind != "incomplete"]
        told = {d: np.stack(list(rows.values())) for d, rows in answers.y.items() if rows}
        odd = odd_answers(answers.objective, answers.names, told)
        findings += [Finding("odd answers", d, name, "", detail) for d, name, detail in odd]
    findings += [Finding("empty", d, c, "", "class folder without images") for d, c in tree.empty]
    findings += [Finding("empty", d, "", "", "folder beside the domains without images") for d in tree.vacant]
    flat = {m for members in tree.flat.values() for m in members} if own else set()
    findings += [Finding("stray", "", "", m, "outside any class folder") for m in tree.strays if m not in flat]
    findings += [Finding("left out", "", "", member, why) for member, why in tree.left_out.items()]
    if own and tree.deeper:
        findings.append(Finding("levels", "", "", "", tree.levels()))
    digests: dict[str, list[ImageFile]] = {}
    done = 0
    for domain in (*tree.domains, *(tree.flat if own else ())):
        sound = []
        for examined in _examine_domain(tree, domain, resize):
            done += 1
            if progress:
                progress(done, len(tree.files) + len(flat))
            if examined.problem:
                kind, detail = examined.problem
                kind = SKIPPED if skip_unreadable and examined.pixels is None else kind
                findings.append(_finding(kind, examined.file, detail))
            if examined.pixels is not None:
                sound.append(examined)
                digests.setdefault(examined.digest, []).append(examined.file)
        if domain not in lone and domain not in tree.flat and answers is None:
            findings += _suspects(sound, embed)
        findings += _depths(domain, sound)
    findings += [f for files in digests.values() for f in _duplicates(files, answers)]
    return sort_findings(findings, KINDS)


def sort_findings(findings: Iterable[Finding], kinds: Mapping[str, str]) -> list[Finding]:
    """Findings in the order of `kinds`, each with what its kind means."""
    order = list(kinds)
    return [replace(f, meaning=kinds[f.kind]) for f in sorted(findings, key=lambda f: order.index(f.kind))]


def _finding(kind: str, file: ImageFile, detail: str) -> Finding:
    return Finding(kind, file.domain, file.cls, file.member, detail)


def _examine_domain(tree: ImageTree, domain: str, resize: int) -> Iterator[_Examined]:
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        yield from pool.map(lambda f: _examine(tree, f, resize), tree.of_domain(domain))


def _examine(tree: ImageTree, file: ImageFile, resize: int) -> _Examined:
    try:
        content = tree.read(file.member)
        if not content:
            return _Examined(file, "", None, ("empty", "file of 0 bytes"))
        pixels = decode_image(content, resize)
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
            depth = find_depth(image) if image.mode.startswith(("I", "F")) else 0
    except Exception as error:
        reason = str(error).partition("<")[0].strip() or type(error).__name__
        return _Examined(file, "", None, ("unreadable", reason))
    digest = hashlib.sha256(content).hexdigest()
    problem = ("tiny", f"{width} x {height} pixels") if min(width, height) < TINY else None
    if problem is None and int(pixels.max()) == int(pixels.min()):
        problem = ("blank", f"every pixel is {int(pixels.min())}")
    return _Examined(file, digest, pixels, problem, depth)


def _depths(domain: str, examined: Sequence[_Examined]) -> Iterator[Finding]:
    depths = Counter(e.depth for e in examined if e.depth)
    if len(depths) > 1:
        told = ", ".join(f"{n} of {bits} bits" for bits, n in sorted(depths.items()))
        yield Finding("depth", domain, "", "", f"by their largest value: {told}")


def _duplicates(files: Sequence[ImageFile], answers: Answers | None) -> Iterator[Finding]:
    """Each file after the first, compared with the one it has most in common with."""

    def label(file: ImageFile) -> Any:
        if answers is None:
            return file.cls
        own = answers.y.get(file.domain, {}).get(file.member)
        return None if own is None else tuple(own.tolist())

    def differ(a: ImageFile, b: ImageFile) -> bool:
        return label(a) != label(b) and (answers is None or None not in (label(a), label(b)))

    for i, file in enumerate(files[1:], 1):
        twin = max(files[:i], key=lambda f: (differ(f, file), f.domain == file.domain))
        kind = "duplicate" if twin.domain == file.domain else "duplicate across domains"
        kind = "duplicate across classes" if differ(twin, file) else kind
        yield _finding(kind, file, f"same bytes as {twin.member}")


def _suspects(sound: Sequence[_Examined], embed: Callable[[np.ndarray], np.ndarray] | None) -> Iterator[Finding]:
    classes = sorted({e.file.cls for e in sound})
    if len(classes) < 2:
        return
    pixels = np.stack([e.pixels for e in sound if e.pixels is not None])
    features = embed(pixels) if embed else describe_images(pixels)
    y = np.array([classes.index(e.file.cls) for e in sound])
    for s in find_suspects(features, y, _RATIO["embedding" if embed else "descriptors"]):
        file = sound[s.row].file
        yield _finding("looks mislabelled", file, f"looks like '{classes[s.other]}' ({s.p_other:.2f} : {s.p_own:.3f})")
