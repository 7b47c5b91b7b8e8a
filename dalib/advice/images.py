"""A folder or zip of images as material: labelled and unlabelled domains, and their features."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np

from dalib.advice.material import Material, Options, Part, pick_rows
from dalib.backbones import load_backbone, own_weights
from dalib.backbones._weights import hash_state
from dalib.core.backbone import Backbone
from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.objective import refuse_answers
from dalib.core.types import Domain
from dalib.data.answered import find_answers
from dalib.data.cache import cached_array
from dalib.data.declaration import match_declaration
from dalib.data.decode import decode_image, measure_picture
from dalib.data.folders import ImageTree, lone_folders
from dalib.data.layout import LAYOUT
from dalib.data.listing import naming
from dalib.data.unreadable import count_skipped, skip_unreadable
from dalib.feed.embed import describe_code, embed_images
from dalib.train.device import pick_device

MEASURES = "the measures of dalib advise"
SIZED = 100
"""Images of a domain whose size is read."""


def open_images(info: DatasetInfo, where: Path, root: Path | None, options: Options) -> Material:
    """A folder or zip: its domains, the unlabelled ones too, and a sample of each through a frozen backbone."""
    tree = skip_unreadable(ImageTree(where)) if options.skip_unreadable else ImageTree(where)
    folders = tree.counts()
    own = not info.domains
    if own and (answers := find_answers(tree)) is not None:
        refuse_answers(answers.objective, str(where), MEASURES)
    nameless = lone_folders(folders) if own else {}
    if own and tree.split_like:
        raise DalibError(f"{where}: {tree.levels()}; give {LAYOUT}, each split in a root of its own")
    match = match_declaration(info, {d: c for d, c in folders.items() if d not in nameless}, str(where))
    members: dict[str, list[tuple[str, int]]] = {}
    parts, remarks = {}, []
    for domain, folder in match.domains.items():
        labels = match.labels[domain]
        files = [f for f in tree.of_domain(folder) if f.cls in labels]
        n = Counter(match.classes[labels[f.cls]] for f in files)
        if files:
            parts[domain] = Part(domain, {c: n[c] for c in match.classes if n[c]}, len(files))
            members[domain] = [(f.member, labels[f.cls]) for f in files]
        else:
            remarks.append(f"domain '{domain}' has no images and is left out")
    for domain, cls in nameless.items():
        members[domain] = [(f.member, -1) for f in tree.of_domain(domain)]
        parts[domain] = Part(domain, {}, len(members[domain]))
        remarks.append(f"'{domain}/{cls}' is the only class folder of '{domain}' and of no other: taken as unlabelled")
    for folder, strays in _flat_folders(tree).items():
        if folder in parts:
            parts[folder].unlabelled = len(strays)
            remarks.append(
                f"{len(strays)} images of '{folder}' lie outside class folders: unlabelled, and not measured"
            )
        elif own:
            members[folder] = [(m, -1) for m in strays]
            parts[folder] = Part(folder, {}, len(strays))
            remarks.append(f"'{folder}' has images but no class folders: taken as unlabelled")
    remarks += [*match.differences, *filter(None, [tree.levels() if own else "", count_skipped(tree)])]
    remarks += _numbers_as_classes(match.classes) if own else []
    partial = bool(match.differences) or bool(own and tree.levels())
    remarks += [line for line in tree.describe() if "outside any class" not in line and "no class folders" not in line]
    kept = Material(info.name, root, "images", match.classes, parts, partial, remarks=remarks)
    kept.lone, kept.skips = nameless, options.skip_unreadable
    network = choose_backbone(kept, where, info, options)
    kept.backbone = (network.name, options.weights if options.backbone and options.weights else network.weights)
    for done, domain in enumerate(parts):
        options.report(done, len(parts))
        chosen = [members[domain][i] for i in pick_rows(len(members[domain]), options.rows)]
        parts[domain].z = _embed(tree, domain, [m for m, _ in chosen], network, options.device)
        parts[domain].y = np.array([k for _, k in chosen if k >= 0], np.int64)
        parts[domain].side = _median_side(tree, [m for m, _ in chosen])
    return kept


def _flat_folders(tree: ImageTree) -> dict[str, list[str]]:
    """Images that lie directly in a domain's folder, by its name."""
    domains = {str(PurePosixPath(f.member[: -len(f.name) - 1]).parent) for f in tree.files}
    around = {str(p) for d in domains for p in PurePosixPath(d).parents}
    flat: dict[str, list[str]] = {}
    for member in tree.strays:
        parent = PurePosixPath(member).parent
        if str(parent) not in around and str(parent.parent) in around:
            flat.setdefault(parent.name, []).append(member)
    return flat


def choose_backbone(kept: Material, where: Path, info: DatasetInfo, options: Options) -> Backbone:
    """The one asked for; else `tiny` for drawn data, a torchvision network where its weights can be had."""
    name = options.backbone
    if name or options.weights:
        name = name or "resnet50"
        network = load_backbone(name, options.weights or own_weights(name))
        if network.preprocess is None:
            raise DalibError(f"backbone '{name}' takes no images; use tiny or resnet50")
        return network
    if info.generator or (where / ".mini_office.json").is_file():
        return load_backbone("tiny", "pretrained")
    name = "resnet50" if pick_device(options.device).type == "cuda" else "resnet18"
    try:
        return load_backbone(name, "imagenet")
    except DalibError:
        kept.remarks.append(
            f"the ImageNet weights of {name} are not here and could not be fetched: `tiny`, which knows drawings only, "
            "stands in, so distances and accuracies are rough; give --backbone and --weights PATH "
            "(backbone=…, weights=…) for better ones"
        )
        return load_backbone("tiny", "pretrained")


def _embed(tree: ImageTree, domain: str, members: list[str], network: Backbone, device: str) -> np.ndarray:
    """Features (n, d) of some images, cached by their content."""
    assert network.preprocess is not None
    resize, digest = network.preprocess.resize, hashlib.sha256()
    for member in members:
        with naming(tree.root, member):
            digest.update(hashlib.sha256(tree.read(member)).digest())

    def decode(member: str) -> np.ndarray:
        with naming(tree.root, member):
            return decode_image(tree.read(member), resize)

    def make() -> np.ndarray:
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            x = np.stack(list(pool.map(decode, members)))
        return embed_images(network, Domain(domain, x, None, (), "sample"), pick_device(device))

    key = f"{digest.hexdigest()}|{network.name}|{hash_state(network.module)}|{network.preprocess}"
    key += f"|{describe_code(network)}"
    return np.asarray(cached_array(f"sample-{domain}-{network.name}", key, make), np.float64)


def _median_side(tree: ImageTree, members: Sequence[str]) -> tuple[int, int]:
    sides = []
    for member in members[:: max(1, len(members) // SIZED)]:
        with naming(tree.root, member):
            sides.append(measure_picture(tree.read(member))[:2])
    width, height = np.median(np.array(sides), axis=0)
    return int(width), int(height)


def _numbers_as_classes(classes: Sequence[str]) -> list[str]:
    """A word where class folders are named by numbers that are no mere count of classes."""
    if not all(name.replace(".", "", 1).lstrip("-").isdigit() for name in classes):
        return []
    if sorted(map(float, classes)) in ([*map(float, range(len(classes)))], [*map(float, range(1, len(classes) + 1))]):
        return []
    return [
        f"class folders are numbers ({', '.join(classes[:4])} …) and taken for classes; numbers to be learnt stand in "
        "domain/regression.csv"
    ]
