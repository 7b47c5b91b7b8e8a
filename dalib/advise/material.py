"""What lies at a path: the domains of a folder of images or of a file of rows, a sample of their rows as features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dalib.core.errors import DalibError, suggest
from dalib.core.registry import DATASETS


@dataclass
class Part:
    """One domain.

    counts: class -> rows of the whole domain; empty for an unlabelled one
    rows: of the whole domain
    unlabelled: rows beside the labelled ones that have no label
    z (n, d), y (n,): the sample that is measured; y is empty for an unlabelled domain
    raw (n, d): its rows before `zscore`, which hides what tells domains apart; empty where they are z
    side: median width and height of the images in pixels, (0, 0) for features
    """

    name: str
    counts: dict[str, int]
    rows: int
    unlabelled: int = 0
    z: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    y: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    raw: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    side: tuple[int, int] = (0, 0)

    @property
    def seen(self) -> np.ndarray:
        """The rows whose distance is measured."""
        return self.raw if len(self.raw) else self.z

    @property
    def labelled(self) -> bool:
        return bool(self.counts)


@dataclass
class Material:
    """Everything at a path.

    dataset, root, partial, normalise: as a suite names them
    backbone: name and weights of what made the features
    lone: unlabelled domain -> the one folder that its images lie in
    refusal: why `dalib run` cannot take the data as they are; empty where it can
    """

    dataset: str
    root: Path | None
    kind: str
    classes: tuple[str, ...]
    parts: dict[str, Part]
    partial: bool = False
    normalise: tuple[str, ...] = ()
    backbone: tuple[str, str] = ("identity", "none")
    lone: dict[str, str] = field(default_factory=dict)
    refusal: str = ""
    remarks: list[str] = field(default_factory=list)

    @property
    def embedded(self) -> bool:
        """A network made the features."""
        return self.backbone[0] != "identity"


@dataclass(frozen=True)
class Options:
    """rows: most rows of a domain that are measured; an empty backbone is chosen here."""

    data_root: Path | None = None
    normalise: tuple[str, ...] = ()
    backbone: str = ""
    weights: str = ""
    rows: int = 1000
    device: str = "auto"
    report: Callable[[int, int], None] = lambda done, total: None


def open_material(path: str, options: Options) -> Material:
    """Open `path`: a folder or zip of images, a feature file (`features:` may precede it) or the name of a data set.

    Raises
        DalibError: nothing there, not of a known layout, an unreadable image, a backbone that does not load
    """
    if path.startswith("features:") or path.endswith(".npz"):
        return _open_features(path.removeprefix("features:"), options)
    if options.normalise:
        raise DalibError(f"{path} holds images; --normalise {','.join(options.normalise)} is for feature data only")
    from dalib.advise.images import open_images

    where = Path(path).expanduser()
    if where.exists():
        return open_images(DATASETS.get("image_folder"), where, where, options)
    own = ("image_folder", "features")
    if path in DATASETS and path not in own:
        from dalib.advise.rows import open_arrays
        from dalib.data.roots import find_root

        info = DATASETS.get(path)
        root = find_root(info, options.data_root, options.report)
        return (
            open_images(info, root, options.data_root, options)
            if info.kind == "images"
            else open_arrays(info, root, options)
        )
    raise DalibError(
        f"no data at {path}; give a folder or .zip of domain/class/image, a feature file .npz, or a data set's name"
        f"{'' if path in own else suggest(path, DATASETS.names())}"
    )


def _open_features(path: str, options: Options) -> Material:
    from dalib.advise.rows import embed_samples, refuse_images
    from dalib.data.features import LAYOUT as FILE
    from dalib.data.features import _check_labels, _name_classes, _read_rows, find_keys, read_arrays
    from dalib.data.normalise import normalise_features
    from dalib.data.roots import find_feature_file

    file = find_feature_file(path, options.data_root)
    arrays = read_arrays(file)
    keys = find_keys(arrays)
    domains = list(keys)
    known = [d for d in domains if f"{d}_y" in arrays]
    if not known:
        raise DalibError(f"{file} has no labelled domain; expected {FILE}, labels for one domain at least")
    stored = {d: _read_rows(file, d, own, arrays) for d, own in keys.items()}
    first = stored[domains[0]]
    flat, whole = first.ndim == 2 and not first.dtype.names, first.dtype.kind in "iu"
    if (options.backbone or options.weights) and flat and not whole:
        raise DalibError(f"{file} holds features; leave out --backbone and --weights")
    for a in stored.values():
        refuse_images(str(file), a)
    shapes = {d: a.dtype.names or a.shape[1:] for d, a in stored.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{d} {shape[0] if len(shape) == 1 else shape}" for d, shape in shapes.items())
        raise DalibError(f"{file}: domains have different widths ({listed}); give every domain the same features")
    picked = {d: pick_rows(len(a), options.rows) for d, a in stored.items()}
    remarks, backbone = [], ("identity", "none")
    if options.backbone or not flat:
        z, network = embed_samples(str(file), stored, picked, options)
        backbone = (network.name, options.weights or "none")
        if network.weights == "none":
            remarks.append(
                f"the {network.name} has random weights, so distances and accuracies are rough; "
                "give --weights FILE for trained ones"
            )
    else:
        z = {d: normalise_features(a, options.normalise)[picked[d]].astype(np.float64) for d, a in stored.items()}
        if whole:
            remarks.append("whole numbers are taken as they are; for token ids give --backbone bag_of_words")
    per_row = [step for step in options.normalise if step != "zscore"]
    classes, y = _name_classes(
        file, {d: _check_labels(file, d, arrays, len(stored[d])) for d in known}, arrays.get("classes")
    )
    parts = {}
    for d in domains:
        found = Counter(y[d].tolist()) if d in y else {}
        labels = y[d][picked[d]] if d in y else np.zeros(0, np.int64)
        counts = {classes[k]: found[k] for k in sorted(found)}
        raw = normalise_features(stored[d], per_row)[picked[d]] if "zscore" in options.normalise else np.zeros((0, 0))
        parts[d] = Part(d, counts, len(stored[d]), z=z[d], y=labels, raw=raw)
    partial = any(len(p.counts) < len(classes) for p in parts.values() if p.labelled)
    lacking = ", ".join(f"{d}_y" for d in domains if d not in known)
    refusal = f"the file lacks {lacking}, and runs are tested on labels" if lacking else ""
    how = (partial, options.normalise, backbone)
    return Material(f"features:{file}", None, "features", classes, parts, *how, refusal=refusal, remarks=remarks)


def pick_rows(n: int, most: int) -> np.ndarray:
    """Ascending row numbers: all of n, or `most` of them at random."""
    return np.sort(np.random.default_rng(0).permutation(n)[:most])
