"""What lies at a path: the domains of a folder of images or of a feature file, a sample of their rows as features."""

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
        if options.backbone or options.weights:
            raise DalibError(f"{path} holds features; leave out --backbone and --weights")
        return _open_features(path.removeprefix("features:"), options)
    if options.normalise:
        raise DalibError(f"{path} holds images; --normalise {','.join(options.normalise)} is for feature data only")
    from dalib.advise.images import open_images

    where = Path(path).expanduser()
    if where.exists():
        return open_images(DATASETS.get("image_folder"), where, where, options)
    if path in DATASETS and DATASETS.get(path).kind == "images" and path != "image_folder":
        from dalib.data.roots import find_root

        info = DATASETS.get(path)
        return open_images(info, find_root(info, options.data_root, options.report), options.data_root, options)
    raise DalibError(
        f"no data at {path}; give a folder or .zip of domain/class/image, a feature file .npz, or a data set's name"
        f"{suggest(path, DATASETS.names())}"
    )


def _open_features(path: str, options: Options) -> Material:
    from dalib.data.features import LAYOUT as FILE
    from dalib.data.features import _check_labels, _name_classes, check_rows, read_arrays
    from dalib.data.normalise import normalise_features
    from dalib.data.roots import find_feature_file

    file = find_feature_file(path, options.data_root)
    arrays = read_arrays(file)
    domains = [k[:-2] for k in arrays if k.endswith("_x") and len(k) > 2]
    known = [d for d in domains if f"{d}_y" in arrays]
    if not known:
        raise DalibError(f"{file} has no labelled domain; expected {FILE}, labels for one domain at least")
    stored = {d: check_rows(file, f"{d}_x", arrays) for d in domains}
    x = {d: normalise_features(stored[d], options.normalise) for d in domains}
    per_row = [step for step in options.normalise if step != "zscore"]
    widths = ", ".join(f"{d} {a.shape[1]}" for d, a in x.items())
    if len({a.shape[1] for a in x.values()}) > 1:
        raise DalibError(f"{file}: domains have different widths ({widths}); give every domain the same features")
    classes, y = _name_classes(
        file, {d: _check_labels(file, d, arrays, len(x[d])) for d in known}, arrays.get("classes")
    )
    parts = {}
    for d in domains:
        found = Counter(y[d].tolist()) if d in y else {}
        picked = pick_rows(len(x[d]), options.rows)
        labels = y[d][picked] if d in y else np.zeros(0, np.int64)
        counts = {classes[k]: found[k] for k in sorted(found)}
        raw = normalise_features(stored[d], per_row)[picked] if "zscore" in options.normalise else np.zeros((0, 0))
        parts[d] = Part(d, counts, len(x[d]), z=np.asarray(x[d][picked], np.float64), y=labels, raw=raw)
    partial = any(len(p.counts) < len(classes) for p in parts.values() if p.labelled)
    lacking = ", ".join(f"{d}_y" for d in domains if d not in known)
    refusal = f"the file lacks {lacking}, and runs are tested on labels" if lacking else ""
    return Material(f"features:{file}", None, "features", classes, parts, partial, options.normalise, refusal=refusal)


def pick_rows(n: int, most: int) -> np.ndarray:
    """Ascending row numbers: all of n, or `most` of them at random."""
    return np.sort(np.random.default_rng(0).permutation(n)[:most])
