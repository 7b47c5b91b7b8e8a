"""Lists of images, a line `path label` each: one text file per domain beside flat folders of pictures."""

from __future__ import annotations

import codecs
import posixpath
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from pathlib import PurePosixPath
from typing import Any

from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.data.declaration import translate
from dalib.data.layout import SPLITS, ImageFile
from dalib.data.listing import Listing, naming

_LINE = re.compile(r"^(.+?)[ \t,]+([0-9]+)$")
_SPLIT = re.compile(r"^(.+?)[_-](?:train|val|valid|validation|crossval|trainval|test|all)(?:[_-]?kfold)?$")
MISSING = "named by a list, but not there"


def read_lists(listing: Listing) -> tuple[dict[str, dict[str, int]], tuple[str, ...]]:
    """(domain -> {image: label}, what each is read from), from every .txt whose lines name images of the listing.

    A path counts from the root, from the list's own folder, or, where that fits no image, by its last parts. Images
    that a list names and nobody has are noted in `listing.left_out`. Several lists that split a domain (`art_train.txt`
    and `art_test.txt`, `art_train_kfold.txt`) are that domain together.

    Raises
        DalibError: lists of one domain differ in the label of an image
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
        lines = _lines(content)
        told = [(m[1].replace("\\", "/"), m[2]) for line in lines if (m := _LINE.match(line.strip()))]
        parsed = [(path, int(label)) for path, label in told]
        if not parsed or len(parsed) < len([line for line in lines if line.strip()]):
            continue
        here = PurePosixPath(member).parent
        placed = {path: _place(path, here, known, by_name) for path, _ in parsed}
        labels = {place: label for path, label in parsed if (place := placed[path])}
        if labels:
            _refuse_spellings(f"{listing.root}: {member}", {label for _, label in told})
            name = re.sub(r"[_-]?(image)?[_-]?list$", "", PurePosixPath(member).stem) or PurePosixPath(member).stem
            domains[name] = labels
            listing.left_out.update({path: MISSING for path, place in placed.items() if not place})
    return _join_splits(domains)


def _lines(content: bytes) -> list[str]:
    """Of a list; a byte-order mark is no part of the first path."""
    return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape").splitlines()


def _refuse_spellings(where: str, labels: Collection[str]) -> None:
    """DalibError where a list writes one number in two ways, which may be meant as two classes."""
    written: dict[int, str] = {}
    for label in sorted(labels):
        other = written.setdefault(int(label), label)
        if other != label:
            raise DalibError(f"{where} has the labels {other} and {label}, which are one number; write it alike")


def _join_splits(lists: Mapping[str, Mapping[str, int]]) -> tuple[dict[str, dict[str, int]], tuple[str, ...]]:
    stems = {name: m[1] for name in lists if (m := _SPLIT.match(name))}
    alike = Counter([*stems.values(), *(name for name in lists if name not in stems)])
    domains: dict[str, dict[str, int]] = {}
    parts: dict[str, list[str]] = {}
    for name, labels in lists.items():
        domain = stems[name] if name in stems and alike[stems[name]] > 1 else name
        here = domains.setdefault(domain, {})
        parts.setdefault(domain, []).append(name)
        for image, label in labels.items():
            if here.setdefault(image, label) != label:
                raise DalibError(
                    f"lists of '{domain}' differ: {image} has the label {here[image]}, and {label} in {name}.txt; keep "
                    "one of them"
                )
    return domains, tuple(d if names == [d] else f"{d} = {' + '.join(names)}" for d, names in parts.items())


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


def pick_listed(tree: Any, info: DatasetInfo) -> Any:
    """The images of a tree that a declared cut of a larger set names in its lists; the tree itself if it has none.

    Raises
        DalibError: the lists of a domain that is there are not
    """
    if not info.lists:
        return tree
    folders = translate(list(tree.domains), info.domains, info.class_aliases, str(tree.root))
    known = {f.member for f in tree.files}
    by_name: dict[str, list[str]] = {}
    for f in tree.files:
        by_name.setdefault(PurePosixPath(f.member).name, []).append(f.member)
    kept: set[str] = set()
    for folder, domain in folders.items():
        names = [pattern.format(domain=domain) for pattern in info.lists]
        there = [m for m in tree.listing.ignored if any(f"/{m}".endswith(f"/{name}") for name in names)]
        if not there:
            how = f"; {info.by_hand}" if info.by_hand else ""
            raise DalibError(
                f"{info.name} is a part of the images of {folder}, and {names[0]}, which says which, is not in "
                f"{tree.root}{how}"
            )
        for member in there:
            lines = _lines(tree.listing.read(member))
            found = [m[1].replace("\\", "/") for line in lines if (m := _LINE.match(line.strip()))]
            kept.update(p for path in found if (p := _place(path, PurePosixPath(member).parent, known, by_name)))
    rest = copy(tree)
    rest.files = tuple(f for f in tree.files if f.member in kept and f.domain in folders)
    rest.empty, rest.vacant, rest.strays = (), (), ()
    if not rest.files:
        raise DalibError(f"the lists of {info.name} in {tree.root} name no image that is there")
    return rest


def join_splits(tree: Any, info: DatasetInfo) -> Any:
    """The images of a tree whose declared domains are all laid out as domain/train/class and domain/test/class.

    Splits of a domain are together the domain, as its declaration counts it; the tree itself otherwise.
    """
    if not info.domains or not tree.split_like:
        return tree
    own = translate(list(tree.domains), info.domains, info.class_aliases, str(tree.root))
    split = [f for f in tree.files if f.domain in own]
    if not split or any(f.cls.lower() not in SPLITS or "/" not in f.name for f in split):
        return tree
    rest, inner = copy(tree), [(f, *f.name.split("/", 1)) for f in split]
    rest.files = tuple(sorted(ImageFile(f.domain, cls, f"{f.cls}/{name}", f.member) for f, cls, name in inner))
    rest.empty = ()
    return rest


def _place(path: str, here: PurePosixPath, known: set[str], by_name: Mapping[str, Sequence[str]]) -> str:
    path = re.sub(r"^(\./)+", "", path)
    for candidate in (path, posixpath.normpath(here / path), str(here.parent / path)):
        if candidate in known:
            return candidate
    alike = by_name.get(PurePosixPath(path).name, ())
    ends = [image for image in alike if f"/{path}".endswith(f"/{image}") or f"/{image}".endswith(f"/{path}")]
    return ends[0] if len(ends) == 1 else ""
