"""Pictures in which something is somewhere: a mask each, or boxes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.types import Domain
from dalib.data.boxes import BoxTree, decode_boxes
from dalib.data.declaration import find_lookalikes, translate
from dalib.data.loaded import LoadedData
from dalib.data.loading import accept, load_flat, missing_of
from dalib.data.scene_boxes import hash_boxes, read_boxes
from dalib.data.scenes import SceneTree, decode_masks


def load_scene_data(dataset: str, info: DatasetInfo, where: Path, partial: bool) -> LoadedData:
    """Pictures with masks, or with the boxes that lie beside them."""
    tree, boxes = SceneTree(where), info.kind == "boxes"
    classes = info.classes or tree.names
    if not classes:
        raise DalibError(f"{where} has no classes.txt, so nobody knows what a mask's values mean; give a name per line")
    if info.classes and tree.names and tree.names != info.classes and not boxes:
        raise DalibError(
            f"{where}/classes.txt names {', '.join(tree.names)}, but {info.name} has {', '.join(info.classes)}"
        )
    folders = {
        n: f for f, n in translate(tree.domains, info.domains or tree.domains, info.class_aliases, str(where)).items()
    }
    counts = {name: len(tree.of_domain(folder)) for name, folder in folders.items()}
    if not folders and info.domains:
        raise DalibError(f"{where} has none of {info.name}'s domains {', '.join(info.domains)} (found: {tree.domains})")
    note = accept(info, missing_of(info, counts), where, partial)

    def load(name: str, resize: int | None) -> Domain:
        folder = folders.get(name, name)
        bare = load_flat(tree, folder, resize, classes)
        if folder in tree.flat:
            return replace(bare, name=name, objective=info.objective)
        if boxes:
            y, content = read_boxes(tree, folder, resize or 0, classes), f"{hash_boxes(tree, folder)}:{resize}px"
            return replace(bare, name=name, y=y, objective=info.objective, fingerprint=content)
        return replace(
            bare, name=name, y=decode_masks(tree, folder, resize or 0, len(classes)), objective=info.objective
        )

    remarks = [line.replace("with masks", "with boxes") if boxes else line for line in tree.describe()]
    hashed = hash_boxes(tree, *folders.values()) if boxes else tree.fingerprint(*folders.values())
    order = [name for name in info.domains or sorted(folders) if name in folders]
    return LoadedData(
        dataset, info, where, classes, tuple(order), counts, "images", hashed, bool(note),
        note, load, objective=info.objective, remarks=tuple(remarks),
        unlabelled={name: len(members) for name, members in tree.flat.items()},
    )  # fmt: skip


def load_box_data(dataset: str, info: DatasetInfo, where: Path, partial: bool) -> LoadedData:
    tree = BoxTree(where)
    tree.refuse()
    domains, classes = info.domains or tree.domains, info.classes or tree.classes()
    folders = {name: f for f, name in translate(tree.domains, domains, info.class_aliases, str(where)).items()}
    if not folders and info.domains:
        raise DalibError(f"{where} has none of {info.name}'s domains {', '.join(info.domains)} (found: {tree.domains})")
    counts = {name: len(tree.of_domain(folder)) for name, folder in folders.items()}
    differences = missing_of(info, counts)
    lost = {name: tree.told[folder].missing for name, folder in folders.items()}
    differences += [f"{name} lacks {len(m)} pictures that have boxes ({m[0]!a})" for name, m in lost.items() if m]
    differences += [] if info.classes or tree.listed else find_lookalikes(classes, "classes")
    note = accept(info, differences, where, partial)
    contents = {name: tree.content(folder) for name, folder in folders.items()}

    def load(name: str, resize: int | None) -> Domain:
        folder = folders.get(name, name)
        bare = load_flat(tree, folder, resize, classes)
        if folder in tree.flat:
            return replace(bare, name=name, objective="detection")
        y = decode_boxes(tree, folder, resize or 0, classes, lambda kind: info.class_aliases.get(kind, kind))
        return replace(bare, name=name, y=y, objective="detection", fingerprint=f"{contents[name]}:{resize}px")

    order = [name for name in domains if name in folders]
    fingerprint = hashlib.sha256("".join(contents[name] for name in sorted(contents)).encode()).hexdigest()
    return LoadedData(
        dataset, info, where, classes, tuple(order), counts, "images", fingerprint, bool(note), note, load,
        objective="detection", remarks=tuple(tree.describe()),
        unlabelled={name: len(members) for name, members in tree.flat.items()},
    )  # fmt: skip
