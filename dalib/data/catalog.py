"""`load_data`: a data set by name, checked against its declaration, its domains ready to use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import permutations
from pathlib import Path

import numpy as np
from PIL import Image

from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.registry import DATASETS
from dalib.core.rows import RowShape, RowView, row_shape, take_rows
from dalib.core.types import Domain, pick_domain
from dalib.data.answered import LAYOUT as ANSWERED
from dalib.data.answered import Answers, find_answers
from dalib.data.arrays import load_arrays, resize_domain
from dalib.data.box_layouts import IMAGES, looks_like_boxes
from dalib.data.boxes import BoxTree, decode_boxes
from dalib.data.declaration import Match, canonical, conventions, find_lookalikes, match_declaration, translate
from dalib.data.decode import decode_domain, read_picture
from dalib.data.features import FeatureSet, load_features
from dalib.data.folders import ImageTree, lone_folders
from dalib.data.layout import LAYOUT
from dalib.data.lists import pick_listed
from dalib.data.normalise import Moments, find_moments, normalise_features, prepare_rows
from dalib.data.pictures import Pictures
from dalib.data.roots import Progress, find_feature_file, find_root
from dalib.data.scene_boxes import hash_boxes, read_boxes
from dalib.data.scenes import SceneTree, decode_masks, looks_like_masks
from dalib.data.settings import split_task
from dalib.data.unreadable import count_skipped
from dalib.data.unreadable import skip_unreadable as skip


@dataclass
class LoadedData:
    """A data set that is there.

    Attributes
        name: as given to `load_data`
        classes: K names in label order, the same for every domain
        domains: those present, in declared order
        counts: domain -> rows
        kind: `images` or `features`
        fingerprint: sha256 of the content of all domains present
        partial: something that the declaration names is missing, or something unknown was left out
        note: what, for captions (`amazon 1000 of 2817 images, dslr missing`)
        remarks: what the root is read as, and what was left out and why
        unlabelled: domains without labels -> rows; each can be a target
        absent: what looks like a domain and is none -> why
        skips: images that cannot be read are left out, and `note` says how many
        objective: what a label is; `classes` are the names of the outputs where it is no class
    """

    name: str
    info: DatasetInfo
    root: Path
    classes: tuple[str, ...]
    domains: tuple[str, ...]
    counts: dict[str, int]
    kind: str
    fingerprint: str
    partial: bool
    note: str
    _load: Callable[[str, int | None], Domain] = field(repr=False)
    objective: str = "classification"
    remarks: tuple[str, ...] = ()
    unlabelled: dict[str, int] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    skips: bool = False
    _measure: Callable[[str], Moments] = field(default=lambda name: (), repr=False)
    _picture: Callable[[str, int], Image.Image] | None = field(default=None, repr=False)
    _loaded: dict[tuple[str, int | None], Domain] = field(default_factory=dict, repr=False)

    def domain(self, name: str, resize: int | None = None) -> Domain:
        """One domain with its labels, if it has any; images are warped to `resize` x `resize` pixels and need it.

        Raises
            DalibError: unknown domain, an unreadable image, images without `resize`
        """
        pick_domain(dict.fromkeys((*self.domains, *self.unlabelled)), name, self.name)
        if self.kind == "features":
            resize = None
        elif resize is None or resize < 1:
            raise DalibError(f"domain '{name}' of {self.name} holds images; give resize, a side in pixels >= 1")
        if (name, resize) not in self._loaded:
            self._loaded[name, resize] = self._load(name, resize)
        return self._loaded[name, resize]

    @property
    def has_pictures(self) -> bool:
        """`picture` can be asked."""
        return self._picture is not None

    def picture(self, name: str, row: int) -> Image.Image:
        """The picture of a row as it lies on the disk: RGB, upright, in its own size.

        Raises
            DalibError: the data are no pictures, or the file cannot be read
        """
        if self._picture is None:
            raise DalibError(f"{self.name} holds no pictures that can be looked at one by one; use domain()")
        return self._picture(name, row)

    def numbered(self) -> LoadedData:
        """The same rows, each its number in its domain (1,) in place of what it is: no picture is decoded.

        Divided by `make_task`, it tells which rows a run was tested on.

        Raises
            DalibError: the data hold no pictures
        """
        if not self.has_pictures:
            raise DalibError(f"{self.name} holds no pictures to number; domain() has its rows")

        def load(name: str, resize: int | None) -> Domain:
            found = self._load(name, 0)
            return replace(found, x=np.arange(len(found))[:, None], fingerprint=f"{found.fingerprint}:numbers")

        return replace(self, kind="features", _load=load, _loaded={})

    def split(self, task: str, *, alone: bool = False) -> tuple[tuple[str, ...], str]:
        """`dslr+webcam->amazon` -> (("dslr", "webcam"), "amazon"); the target may be unlabelled.

        Args
            alone: source and target may be the same domain
        Raises
            DalibError: an unknown domain, one that occurs twice, a source without labels
        """
        sources, target = split_task(task, (*self.domains, *self.unlabelled), self.absent, alone=alone)
        for name in sources:
            if name in self.unlabelled:
                ways = {"classification": "sort it into class folders", "segmentation": "put masks beside its pictures"}
                ways["detection"] = "put a file of boxes beside its pictures"
                table = f"put {self.objective}.csv, as other domains have it, into its folder"
                way = f"store {name}_y" if self.kind == "features" else ways.get(self.objective, table)
                raise DalibError(f"domain '{name}' has no labels; a source needs them: {way}")
        return sources, target

    def with_target(self, target: str) -> LoadedData:
        """The data with a folder or archive of pictures as one more unlabelled domain, named by its path.

        The data themselves where `target` is one of their domains, or nothing is there.

        Raises
            DalibError: it holds no images, or the data are features
        """
        if target in (*self.domains, *self.unlabelled) or not Path(target).expanduser().exists():
            return self
        if self.kind != "images" or self.info.kind != "images":
            raise DalibError(f"{self.name} holds no image files; a folder ({target}) can be their target only")
        pictures: ImageTree = Pictures(Path(target).expanduser(), target)
        pictures = skip(pictures) if self.skips else pictures
        skipped = count_skipped(pictures)

        def load(name: str, resize: int | None) -> Domain:
            if name != target:
                return self._load(name, resize)
            return replace(_load_flat(pictures, name, resize, self.classes), objective=self.objective)

        more = {target: len(pictures.flat[target])}
        remarks = (f"target {target}: {more[target]} images without labels; its folders are not read", *self.remarks)
        remarks += tuple(pictures.listing.remarks())
        unlabelled, note = self.unlabelled | more, ", ".join(filter(None, (self.note, skipped)))
        more_data = replace(self, _load=load, _loaded={}, unlabelled=unlabelled, remarks=remarks)
        return replace(more_data, note=note, partial=bool(note))

    def moments(self, name: str) -> Moments:
        """Mean and deviation by which a domain's rows were z-scored; empty where they were not."""
        return self._measure(name)

    def row_shape(self) -> RowShape:
        """What the rows of all domains of feature data have in common.

        Raises
            DalibError: negative whole numbers
        """
        return row_shape(*(self.domain(name).x for name in (*self.domains, *self.unlabelled)))

    def tasks(self) -> list[str]:
        """All ordered pairs of domains, `amazon->webcam`, in declared order."""
        return [f"{s}->{t}" for s, t in permutations(self.domains, 2)]

    def multi_source_tasks(self) -> list[str]:
        """All other domains together -> each domain, `dslr+webcam->amazon`."""
        return [f"{'+'.join(s for s in self.domains if s != t)}->{t}" for t in self.domains]


def load_data(
    dataset: str,
    root: str | Path | None = None,
    *,
    partial: bool = False,
    normalise: Sequence[str] = (),
    skip_unreadable: bool = False,
    progress: Progress | None = None,
) -> LoadedData:
    """Find a data set and check it; images are decoded only when a domain is asked for.

    Args
        dataset: a registry name, or `features:PATH.npz`
        root: the data, or a folder that holds it; default `DALIB_DATA`
        partial: accept a copy that differs from the declaration, and say how in `note`
        normalise: steps for feature data, in order: `row_sum`, `l2`, `zscore` (per domain)
        skip_unreadable: leave out image files that cannot be decoded, and say how many in `note`
        progress: `progress(done, total)` while a generated set is made
    Raises
        DalibError: unknown data set or step, nothing found, or not what the declaration says
    """
    name, _, path = dataset.partition(":")
    info = DATASETS.get(name)
    if path and name != "features":
        raise DalibError(f"data set '{dataset}': only features takes a path; give --data-root (root=…) for {name}")
    if normalise and info.kind != "features":
        raise DalibError(f"{name} holds images; normalise = {list(normalise)} is for feature data only")
    if skip_unreadable and info.kind != "images":
        needs = {"masks": "pictures that need their masks", "boxes": "pictures that need their boxes"}
        what = needs.get(info.kind, "arrays")
        raise DalibError(f"{name} holds {what}; skip_unreadable is for image files only: leave it out")
    normalise_features(np.zeros((1, 1)), normalise)
    where = find_feature_file(path, root) if name == "features" else find_root(info, root, progress)
    if info.kind == "features":
        return _load_feature_data(dataset, info, where, partial, tuple(normalise))
    if info.kind == "arrays":
        return _load_array_data(dataset, info, where, partial)
    if info.kind == "masks" or (info.kind == "boxes" and info.domains):
        return _load_scene_data(dataset, info, where, partial)
    if info.kind == "boxes":
        return _load_box_data(dataset, info, where, partial)
    return _load_image_data(dataset, info, where, partial, skip_unreadable)


def _load_flat(tree: ImageTree, name: str, resize: int | None, classes: tuple[str, ...]) -> Domain:
    """A domain without labels."""
    x, files = decode_domain(tree, name, resize or 0), tree.of_domain(name)
    return Domain(name, x, None, classes, f"{tree.fingerprint(name)}:{resize}px", tuple(f.member for f in files))


def _accept(info: DatasetInfo, match: Match, where: Path, partial: bool, levels: str = "") -> str:
    note = ", ".join((*match.differences, *filter(None, [levels])))
    if note and not partial:
        expected = f"the complete {info.name}" if info.domains else "the same classes in every domain"
        raise DalibError(
            f"{where} is not {expected}: {note}; --partial (partial=True) accepts it and marks the results"
        )
    return note


def _load_answered(
    dataset: str, info: DatasetInfo, where: Path, partial: bool, tree: ImageTree, answers: Answers
) -> LoadedData:
    """Images with a table of answers per domain; a domain without a table has none."""
    plain = {canonical(folder): folder for folder in (*tree.domains, *tree.flat)}
    present = {name: folder for name, folder in plain.items() if folder in answers.y}
    bare = {name: folder for name, folder in plain.items() if folder not in answers.y}
    order = info.domains or tuple(sorted(present))
    absent = [name for name in info.domains if name not in present]
    counts = {name: len(tree.of_domain(present[name])) for name in order if name in present}
    wrong = [f"{name} missing" for name in absent]
    wrong += [f"{name} {counts[name]} of {n} images" for name, n in info.counts.items() if counts.get(name, n) != n]
    if info.classes and answers.names != info.classes:
        raise DalibError(f"{where} has the outputs {', '.join(answers.names)}; {info.name}: {', '.join(info.classes)}")
    note = ", ".join(wrong)
    if note and not partial:
        raise DalibError(
            f"{where} is not the complete {info.name}: {note}; --partial (partial=True) accepts it and marks the "
            "results"
        )
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


def _load_image_data(dataset: str, info: DatasetInfo, where: Path, partial: bool, skips: bool) -> LoadedData:
    tree = pick_listed(ImageTree(where), info)
    answers = find_answers(tree) if not info.domains or info.objective != "classification" else None
    if answers is not None:
        return _load_answered(dataset, info, where, partial, skip(tree) if skips else tree, answers)
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
    note = _accept(info, match, where, partial, levels)
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
            return _load_flat(tree, bare[name], resize, match.classes)
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


def _load_scene_data(dataset: str, info: DatasetInfo, where: Path, partial: bool) -> LoadedData:
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
    differences = [f"{name} missing" for name in info.domains if name not in folders]
    differences += [
        f"{name} {n} of {info.counts[name]} images" for name, n in counts.items() if info.counts.get(name, n) != n
    ]
    if not folders and info.domains:
        raise DalibError(f"{where} has none of {info.name}'s domains {', '.join(info.domains)} (found: {tree.domains})")
    note = _accept(info, Match(folders, classes, {}, counts, tuple(differences)), where, partial)

    def load(name: str, resize: int | None) -> Domain:
        folder = folders.get(name, name)
        bare = _load_flat(tree, folder, resize, classes)
        if folder in tree.flat:
            return replace(bare, name=name, objective=info.objective)
        if boxes:
            y, content = read_boxes(tree, folder, resize or 0, classes), f"{hash_boxes(tree, folder)}:{resize}px"
            return replace(bare, name=name, y=y, objective=info.objective, fingerprint=content)
        return replace(
            bare, name=name, y=decode_masks(tree, folder, resize or 0, len(classes)), objective=info.objective
        )

    hashed = hash_boxes(tree, *folders.values()) if boxes else tree.fingerprint(*folders.values())
    order = [name for name in info.domains or sorted(folders) if name in folders]
    return LoadedData(
        dataset, info, where, classes, tuple(order), counts, "images", hashed, bool(note),
        note, load, objective=info.objective, remarks=tuple(tree.describe()),
        unlabelled={name: len(members) for name, members in tree.flat.items()},
    )  # fmt: skip


def _load_box_data(dataset: str, info: DatasetInfo, where: Path, partial: bool) -> LoadedData:
    tree = BoxTree(where)
    tree.refuse()
    domains, classes = info.domains or tree.domains, info.classes or tree.classes()
    folders = {name: f for f, name in translate(tree.domains, domains, info.class_aliases, str(where)).items()}
    if not folders and info.domains:
        raise DalibError(f"{where} has none of {info.name}'s domains {', '.join(info.domains)} (found: {tree.domains})")
    counts = {name: len(tree.of_domain(folder)) for name, folder in folders.items()}
    differences = [f"{name} missing" for name in info.domains if name not in folders]
    differences += [
        f"{name} {n} of {info.counts[name]} images" for name, n in counts.items() if info.counts.get(name, n) != n
    ]
    lost = {name: tree.told[folder].missing for name, folder in folders.items()}
    differences += [f"{name} lacks {len(m)} pictures that have boxes ({m[0]!a})" for name, m in lost.items() if m]
    differences += [] if info.classes or tree.listed else find_lookalikes(classes, "classes")
    note = _accept(info, Match(folders, classes, {}, counts, tuple(differences)), where, partial)
    contents = {name: tree.content(folder) for name, folder in folders.items()}

    def load(name: str, resize: int | None) -> Domain:
        folder = folders.get(name, name)
        bare = _load_flat(tree, folder, resize, classes)
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


def _load_array_data(dataset: str, info: DatasetInfo, where: Path, partial: bool) -> LoadedData:
    arrays = load_arrays(where, info.domains)
    match = match_declaration(info, arrays.counts(), str(where), info.classes)
    note = _accept(info, match, where, partial)

    def kept_rows(name: str) -> np.ndarray:
        return np.flatnonzero(arrays.y[name] < len(match.classes))

    def show(name: str, row: int) -> Image.Image:
        return arrays.picture(name, int(kept_rows(name)[row]))

    def load(name: str, resize: int | None) -> Domain:
        x: np.ndarray | RowView = resize_domain(arrays, name, resize or 0)
        y = arrays.y[name]
        known = kept_rows(name)
        x, y = (x, y) if len(known) == len(y) else (take_rows(x, known), y[known])
        return Domain(name, x, y, match.classes, f"{arrays.fingerprint}:{name}:{resize}px")

    present = tuple(match.domains)
    return LoadedData(
        dataset, info, where, match.classes, present, match.counts, "images", arrays.fingerprint, bool(note), note,
        load, remarks=tuple(conventions(info, sum(match.counts.values()))), _picture=show,
    )  # fmt: skip


def _load_feature_data(
    dataset: str, info: DatasetInfo, where: Path, partial: bool, normalise: tuple[str, ...]
) -> LoadedData:
    where = where / f"{info.name}.npz" if where.is_dir() else where
    stored: FeatureSet = load_features(where)
    if stored.objective == "classification":
        match = match_declaration(info, stored.counts(), str(where), stored.classes)
        note, classes, present, counts = (
            _accept(info, match, where, partial),
            match.classes,
            match.domains,
            match.counts,
        )
    else:
        note, classes, present = "", stored.classes, {name: name for name in stored.y}
        counts = {name: len(y) for name, y in stored.y.items()}
    bare = {canonical(d): d for d in stored.unlabelled}
    twice = set(bare) & set(present)
    if twice:
        raise DalibError(f"{where}: domain '{min(twice)}' is there with and without labels; name them differently")

    def pick(name: str) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """(rows, labels, which of the stored rows they are)."""
        key = bare.get(name) or present[name]
        rows, all_rows = stored.x[key], np.ones(len(stored.x[key]), bool)
        if name in bare or stored.objective != "classification":
            return rows, stored.y.get(key), all_rows
        labels = match.labels[name]
        known = np.array([stored.classes[k] in labels for k in stored.y[key]], bool)
        return rows[known], np.array([labels[stored.classes[k]] for k in stored.y[key][known]], np.int64), known

    def measure(name: str) -> Moments:
        return find_moments(pick(name)[0], normalise) if "zscore" in normalise else ()

    def load(name: str, resize: int | None) -> Domain:
        key, (rows, y, known) = bare.get(name) or present[name], pick(name)
        files = tuple(n for n, keep in zip(stored.names[key], known, strict=False) if keep)
        fingerprint = "".join((f"{stored.fingerprint}:{key}", *(f":{step}" for step in normalise)))
        return Domain(name, prepare_rows(rows, normalise), y, classes, fingerprint, files, objective=stored.objective)

    return LoadedData(
        dataset, info, where, classes, tuple(present), counts, "features", stored.fingerprint, bool(note), note, load,
        objective=stored.objective, _measure=measure,
        remarks=(*stored.remarks, *conventions(info, sum(counts.values()))),
        unlabelled={name: stored.unlabelled[key] for name, key in bare.items()},
    )  # fmt: skip
