"""Image files with a class each, by folders or lists, or with a table of answers."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.rows import RowView, take_rows
from dalib.core.types import Domain
from dalib.data.answered import LAYOUT as ANSWERED
from dalib.data.answered import Answers, find_answers
from dalib.data.box_layouts import IMAGES, looks_like_boxes
from dalib.data.declaration import canonical, conventions, match_declaration
from dalib.data.decode import decode_domain, read_picture
from dalib.data.folders import ImageTree, lone_folders
from dalib.data.layout import LAYOUT
from dalib.data.lists import join_splits, pick_listed
from dalib.data.loaded import LoadedData
from dalib.data.loading import accept, load_flat, missing_of
from dalib.data.scenes import looks_like_masks
from dalib.data.unreadable import count_skipped
from dalib.data.unreadable import skip_unreadable as skip


def load_answered(
    dataset: str, info: DatasetInfo, where: Path, partial: bool, tree: ImageTree, answers: Answers
) -> LoadedData:
    """Images with a table of answers per domain; a domain without a table has none."""
    plain = {canonical(folder): folder for folder in (*tree.domains, *tree.flat)}
    present = {name: folder for name, folder in plain.items() if folder in answers.y}
    bare = {name: folder for name, folder in plain.items() if folder not in answers.y}
    order = info.domains or tuple(sorted(present))
    counts = {name: len(tree.of_domain(present[name])) for name in order if name in present}
    if info.classes and answers.names != info.classes:
        raise DalibError(f"{where} has the outputs {', '.join(answers.names)}; {info.name}: {', '.join(info.classes)}")
    note = accept(info, missing_of(info, counts), where, partial, f"the complete {info.name}")
    note = ", ".join(filter(None, (note, count_skipped(tree))))

    def load(name: str, resize: int | None) -> Domain:
        folder = plain[name]
        files, x = tree.of_domain(folder), decode_domain(tree, folder, resize or 0)
        y = np.stack([answers.y[folder][f.member] for f in files]) if folder in answers.y else None
        content = f"{tree.fingerprint(folder)}:{answers.digest.get(folder, 'bare')}:{resize}px"
        members = tuple(f.member for f in files)
        return Domain(name, x, y, answers.names, content, members, objective=answers.objective)

    told = sorted(answers.digest[present[name]] for name in counts)
    fingerprint = hashlib.sha256("".join((tree.fingerprint(*present.values()), *told)).encode()).hexdigest()
    what = f"{answers.objective}: {', '.join(answers.names)}"
    remarks = (f"read as domain/image with a table per domain ({what})", *tree.describe()[1:])
    return LoadedData(
        dataset, info, where, answers.names, tuple(counts), counts, "images", fingerprint, bool(note), note, load,
        objective=answers.objective, remarks=remarks, skips=bool(tree.skipped),
        unlabelled={name: len(tree.of_domain(folder)) for name, folder in bare.items()},
    )  # fmt: skip


def load_image_data(dataset: str, info: DatasetInfo, where: Path, partial: bool, skips: bool) -> LoadedData:
    tree = join_splits(pick_listed(ImageTree(where), info), info)
    answers = find_answers(tree) if not info.domains or info.objective != "classification" else None
    if answers is not None:
        return load_answered(dataset, info, where, partial, skip(tree) if skips else tree, answers)
    if info.objective != "classification":
        raise DalibError(f"{where} has no tables of answers, which {info.name} needs; give {ANSWERED}")
    counts, own = tree.counts(), not info.domains
    for domain, folders in counts.items():
        if looks_like_masks(set(folders)):
            raise DalibError(
                f"{where} can be read in two ways: {', '.join(sorted(folders))} of '{domain}' are pictures with a mask "
                "each (dataset mask_folder), or classes (rename them)"
            )
        if set(folders) & set(IMAGES) and (boxed := looks_like_boxes(tree.listing)):
            raise DalibError(
                f"{where} can be read in two ways: {', '.join(sorted(folders))} of '{domain}' are pictures with boxes "
                f"beside them in {boxed} (dataset box_folder), or classes (rename them)"
            )
    lone = lone_folders(counts) if own else {}
    bare = {canonical(d): d for d in (*lone, *(tree.flat if own else ()))}
    match = match_declaration(info, {d: c for d, c in counts.items() if d not in lone}, str(where))
    levels = tree.levels() if own else ""
    if tree.split_like and own:
        raise DalibError(f"{where}: {levels}; give {LAYOUT}, each split in a root of its own")
    note = accept(info, (*match.differences, levels), where, partial)
    if skips:
        tree = skip(tree)
        note, counts = ", ".join(filter(None, (note, count_skipped(tree)))), tree.counts()
        match = match_declaration(info, {d: c for d, c in counts.items() if d not in lone}, str(where))
    remarks = [*tree.describe(), *conventions(info, sum(match.counts.values()))]
    remarks += [
        f"'{d}/{c}' is the only class folder of '{d}' and of no other: images without labels" for d, c in lone.items()
    ]

    def load(name: str, resize: int | None) -> Domain:
        if name in bare:
            return load_flat(tree, bare[name], resize, match.classes)
        folder, labels = match.domains[name], match.labels[name]
        files = tree.of_domain(folder)
        x: np.ndarray | RowView = decode_domain(tree, folder, resize or 0)
        known = [i for i, f in enumerate(files) if f.cls in labels]
        if len(known) < len(files):
            x, files = take_rows(x, np.array(known, np.int64)), tuple(files[i] for i in known)
        y = np.array([labels[f.cls] for f in files], np.int64)
        fingerprint = f"{tree.fingerprint(folder)}:{resize}px"
        return Domain(name, x, y, match.classes, fingerprint, tuple(f.member for f in files))

    def show(name: str, row: int) -> Image.Image:
        return read_picture(tree, numbered_files(name)[row])

    @lru_cache(maxsize=8)
    def numbered_files(name: str) -> tuple[str, ...]:
        return load(name, 0).files

    fingerprint = tree.fingerprint(*match.domains.values())
    present = tuple(match.domains)
    return LoadedData(
        dataset, info, where, match.classes, present, match.counts, "images", fingerprint, bool(note), note, load,
        _picture=show,
        remarks=tuple(remarks), unlabelled={name: len(tree.of_domain(d)) for name, d in bare.items()},
        absent={d: f"'{d}' is no domain: folder {d} in {where} holds no image" for d in tree.vacant}, skips=skips,
    )  # fmt: skip
