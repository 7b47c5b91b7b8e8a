"""Feature files: one .npz with `<domain>_x` (n, d) and `<domain>_y` (n,) for each domain."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dalib.core.errors import DalibError

LAYOUT = "an .npz with <domain>_x (n, d) and <domain>_y (n,) for each domain"


@dataclass(frozen=True)
class FeatureSet:
    """All domains of a feature file.

    x: domain -> (n, d), as stored (times `<domain>_scale`)
    y: domain -> (n,) int64 in [0, K)
    names: domain -> row names, may be empty
    classes: K names
    fingerprint: sha256 of the file
    """

    x: dict[str, np.ndarray]
    y: dict[str, np.ndarray]
    names: dict[str, tuple[str, ...]]
    classes: tuple[str, ...]
    fingerprint: str

    def counts(self) -> dict[str, dict[str, int]]:
        """domain -> class -> rows, classes without rows left out."""
        return {d: {self.classes[k]: int(n) for k, n in enumerate(np.bincount(y)) if n} for d, y in self.y.items()}


def load_features(path: Path) -> FeatureSet:
    """Read a feature file.

    Optional keys: `<domain>_names` (n,) row names; `<domain>_scale`, a number x is multiplied by (integers stored
    compactly); `classes` (K,) names of the labels 0 … K-1. Without `classes` the labels may be any integers >= 0: their
    union, sorted, becomes the classes. Other keys are ignored. Pickled content is refused.

    Raises
        DalibError: not an .npz, a key missing, wrong shapes or lengths, NaN or infinity, labels that are not labels
    """
    arrays = read_arrays(path)
    domains = [k[:-2] for k in arrays if k.endswith("_x") and len(k) > 2]
    if not domains:
        keys = ", ".join(list(arrays)[:6]) or "none"
        raise DalibError(f"{path} has no key <domain>_x (first keys: {keys}); expected {LAYOUT}")
    for key in arrays:
        if key.endswith("_y") and key[:-2] not in domains:
            raise DalibError(f"{path} has {key} but no {key[:-2]}_x; each domain needs both")
    x = {d: check_rows(path, f"{d}_x", arrays) for d in domains}
    widths = {d: a.shape[1] for d, a in x.items()}
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{d} {w}" for d, w in widths.items())
        raise DalibError(f"{path}: domains have different widths ({listed}); give every domain the same features")
    labels = {d: _check_labels(path, d, arrays, len(x[d])) for d in domains}
    names = {d: _check_names(path, d, arrays, len(x[d])) for d in domains}
    classes, y = _name_classes(path, labels, arrays.get("classes"))
    return FeatureSet(x, y, names, classes, hashlib.sha256(path.read_bytes()).hexdigest())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of an .npz.

    Raises
        DalibError: no such file, not an .npz, or one that holds Python objects
    """
    if not path.is_file():
        raise DalibError(f"no feature file {path}; expected {LAYOUT}")
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("a single array")
        with file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        pickled = "allow_pickle" in str(error) and zipfile.is_zipfile(path)
        reason = "it holds Python objects; save plain arrays" if pickled else f"expected {LAYOUT}"
        raise DalibError(f"cannot read feature file {path}: {reason}") from error


def check_rows(path: Path, key: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Rows (n, d) stored under `key` (`<domain>_x` or `x`), times `<domain>_scale` (`scale`) where there is one.

    Raises
        DalibError: not a matrix, not real numbers, NaN or infinity
    """
    x, scale_key = arrays[key], f"{key[:-1]}scale"
    if x.ndim != 2 or 0 in x.shape:
        raise DalibError(f"{path}: {key} has shape {x.shape}; expected (n, d), one row per sample")
    if x.dtype.kind not in "iufb":
        raise DalibError(f"{path}: {key} has dtype {x.dtype}; expected real numbers")
    if scale_key in arrays:
        scale = arrays[scale_key]
        if scale.size != 1 or scale.dtype.kind not in "iuf" or not np.isfinite(scale).all():
            raise DalibError(f"{path}: {scale_key} has shape {scale.shape}; expected one finite number")
        x = x.astype(np.float64) * float(scale.reshape(()))
    if not np.isfinite(x).all():
        row = int(np.argmin(np.isfinite(x).all(1)))
        raise DalibError(f"{path}: {key} has NaN or infinity, first in row {row}; remove or fill such rows")
    return x


def _check_labels(path: Path, domain: str, arrays: dict[str, np.ndarray], n: int) -> np.ndarray:
    key = f"{domain}_y"
    if key not in arrays:
        raise DalibError(f"{path} has {domain}_x but no {key}; each domain needs both")
    y = arrays[key]
    if y.shape in ((n, 1), (1, n)):
        y = y.reshape(n)
    if y.ndim != 1 or len(y) != n:
        raise DalibError(f"{path}: {key} has shape {y.shape} but {domain}_x has {n} rows; expected ({n},)")
    if y.dtype.kind not in "iuf" or (y.dtype.kind == "f" and not (y == np.floor(y)).all()):
        raise DalibError(f"{path}: {key} holds {y.dtype} values that are not integers; labels are integers >= 0")
    if (y < 0).any():
        raise DalibError(f"{path}: {key} has the negative label {int(y.min())}; labels are integers >= 0")
    return y.astype(np.int64)


def _check_names(path: Path, domain: str, arrays: dict[str, np.ndarray], n: int) -> tuple[str, ...]:
    names = arrays.get(f"{domain}_names")
    if names is None:
        return ()
    if names.shape != (n,):
        raise DalibError(f"{path}: {domain}_names has shape {names.shape} but {domain}_x has {n} rows; expected ({n},)")
    return tuple(map(str, names))


def _name_classes(
    path: Path, labels: dict[str, np.ndarray], classes: np.ndarray | None
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    if classes is None:
        values = np.unique(np.concatenate(list(labels.values())))
        return tuple(str(v) for v in values), {d: np.searchsorted(values, y) for d, y in labels.items()}
    if classes.ndim != 1 or len(set(map(str, classes))) != len(classes):
        raise DalibError(f"{path}: classes must be a list of distinct names, one per label")
    for domain, y in labels.items():
        if y.max() >= len(classes):
            raise DalibError(f"{path}: {domain}_y has label {y.max()} but classes names only {len(classes)}")
    return tuple(map(str, classes)), labels
