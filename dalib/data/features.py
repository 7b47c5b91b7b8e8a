"""Feature files: one .npz with `<domain>_x` (n, d), or rows of another kind, and `<domain>_y` (n,) where known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dalib.core.errors import DalibError
from dalib.core.rows import combine
from dalib.data.answers import read_answers
from dalib.data.declaration import canonical, lookalike
from dalib.data.narrow import warn_of_lost
from dalib.data.npz import LAYOUT, check_rows, read_arrays

MISSING = ("nan", "NaN", "None", "<NA>", "NaT")
"""What a missing label is called where labels were turned into words."""


@dataclass(frozen=True)
class FeatureSet:
    """All domains of a feature file.

    x: domain -> (n, d), (n, *S) or a structured array of several modalities, as stored (times `<domain>_scale`)
    y: labelled domain -> (n,) int64 in [0, K); of another objective what that says (see `load_features`)
    names: domain -> row names, may be empty
    classes: K names; of another objective those of the outputs
    fingerprint: sha256 of the file
    objective: what a label is
    remarks: why one that has labels in the file counts as without
    """

    x: dict[str, np.ndarray]
    y: dict[str, np.ndarray]
    names: dict[str, tuple[str, ...]]
    classes: tuple[str, ...]
    fingerprint: str
    objective: str = "classification"
    remarks: tuple[str, ...] = ()

    @property
    def unlabelled(self) -> dict[str, int]:
        return {d: len(x) for d, x in self.x.items() if d not in self.y}

    def counts(self) -> dict[str, dict[str, int]]:
        """domain -> class -> rows, classes without rows left out."""
        return {d: {self.classes[k]: int(n) for k, n in enumerate(np.bincount(y)) if n} for d, y in self.y.items()}


def load_features(path: Path) -> FeatureSet:
    """Read a feature file.

    Rows are features (n, d), time series (n, C, T), token ids (n, L) of a whole-number type, or images (n, 3, R, R) of
    uint8; `<domain>_x_<modality>` instead of `<domain>_x`, once or more, holds several modalities of the same rows.

    Optional keys: `<domain>_names` (n,) row names; `<domain>_scale`, a number x is multiplied by (integers stored
    compactly); `classes` (K,) names of the labels 0 … K-1. Without `classes` the labels may be any integers >= 0, words
    or booleans: their union, sorted, becomes the classes. Other keys are ignored. Pickled content is refused.

    A domain without `<domain>_y`, or whose labels are all -1, has no labels: it can be a target. One domain has some.

    `objective`, a word, says that labels are no classes: `regression`, `<domain>_y` (n,) or (n, m) numbers;
    `multilabel`, `<domain>_y` (n, K) of 0 and 1, -1 where nobody said. `classes` are then the names of the outputs.

    Raises
        DalibError: not an .npz, a key missing, wrong shapes or lengths, NaN or infinity, labels that are not labels
    """
    arrays = read_arrays(path)
    keys = find_keys(arrays)
    domains = list(keys)
    if not domains:
        first = ", ".join(list(arrays)[:6]) or "none"
        raise DalibError(f"{path} has no key <domain>_x (first keys: {first}); expected {LAYOUT}")
    refuse_one_word(path, "domain", domains)
    for key in arrays:
        if key.endswith("_y") and key[:-2] not in domains:
            raise DalibError(f"{path} has {key} but no {key[:-2]}_x; labels belong to rows")
    x = {d: read_feature_rows(path, d, own, arrays) for d, own in keys.items()}
    widths = {d: _describe(a) for d, a in x.items()}
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{d} {w}" for d, w in widths.items())
        raise DalibError(f"{path}: domains have different widths ({listed}); give every domain the same features")
    _refuse_two_scales(path, x)
    names = {d: _check_names(path, d, arrays, len(x[d])) for d in domains}
    objective = read_objective(arrays)
    labelled, remarks = find_labelled(path, domains, arrays)
    remarks += tell_alike("domains", domains)
    if objective == "classification":
        labels = {d: check_labels(path, d, arrays, len(x[d])) for d in labelled}
        classes, y = name_classes(path, labels, read_classes(path, arrays))
        refuse_one_word(path, "class", classes)
        remarks += tuple(
            f"'{name}' is a class here; if it means 'no label', leave its rows out"
            for name in classes
            if name in MISSING
        )
        remarks += tell_alike("classes", classes)
    else:
        classes, y = read_answers(path, objective, arrays, {d: len(x[d]) for d in labelled})
    return FeatureSet(x, y, names, classes, hashlib.sha256(path.read_bytes()).hexdigest(), objective, remarks)


def find_labelled(
    path: Path, domains: Sequence[str], arrays: Mapping[str, np.ndarray]
) -> tuple[list[str], tuple[str, ...]]:
    """(domains with labels, what there is to say of others).

    Raises
        DalibError: no domain has labels
    """
    there = [d for d in domains if f"{d}_y" in arrays]
    classes = read_objective(arrays) == "classification"
    blank = [d for d in there if classes and _says_nothing(arrays[f"{d}_y"])]
    labelled = [d for d in there if d not in blank]
    if not labelled:
        why = f"{' and '.join(f'{d}_y' for d in blank)} hold -1 only" if blank else f"no {domains[0]}_y"
        raise DalibError(f"{path} has no labelled domain ({why}); one needs labels: {LAYOUT}")
    return labelled, tuple(f"{d}_y is -1 throughout: '{d}' counts as a domain without labels" for d in blank)


def _says_nothing(y: np.ndarray) -> bool:
    """Every label is -1, which other libraries write where there is none."""
    return y.dtype.kind in "if" and y.size > 0 and bool((y == -1).all())


def read_objective(arrays: Mapping[str, np.ndarray]) -> str:
    """What labels of a feature file are."""
    return str(arrays.get("objective", "classification"))


def find_keys(arrays: dict[str, np.ndarray]) -> dict[str, dict[str, str]]:
    """domain -> {modality: key} in the file's order; the modality is an empty string where there is one array.

    A key of several modalities without labels counts where a labelled domain has that modality.
    """
    keys = {k[:-2]: {"": k} for k in arrays if k.endswith("_x") and len(k) > 2}
    for labelled in (True, False):
        known = {modality for own in keys.values() for modality in own}
        for key in arrays:
            domain, mark, modality = key.partition("_x_")
            scale = modality.endswith("_scale") and key.removesuffix("_scale") in arrays
            if not (mark and domain and modality) or scale or "" in keys.get(domain, {}):
                continue
            if (f"{domain}_y" in arrays) == labelled and (labelled or modality in known):
                keys.setdefault(domain, {})[modality] = key
    return keys


def read_feature_rows(path: Path, domain: str, keys: dict[str, str], arrays: dict[str, np.ndarray]) -> np.ndarray:
    parts = {modality: check_rows(path, key, arrays, flat=False) for modality, key in keys.items()}
    if "" in parts:
        return parts[""]
    for modality, key in keys.items():
        warn_of_lost(parts[modality], "standardise it", f"{path}, {key}: ")
    try:
        return combine({k: a.astype(np.float32) if a.dtype.kind == "f" else a for k, a in parts.items()})
    except DalibError as error:
        raise DalibError(f"{path}, domain {domain}: {error}") from None


def _refuse_two_scales(path: Path, x: Mapping[str, np.ndarray]) -> None:
    """DalibError for pictures, or other rows of several axes, of uint8 here and with a decimal point there."""
    bytes_ = [d for d, rows in x.items() if rows.ndim > 2 and rows.dtype == np.uint8]
    wide = [d for d, rows in x.items() if rows.ndim > 2 and rows.dtype.kind == "f"]
    if bytes_ and wide:
        raise DalibError(
            f"{path}: rows of '{bytes_[0]}' are uint8, 0 to 255, and those of '{wide[0]}' have a decimal point (0 to "
            "1?); give all domains one type, pictures uint8"
        )


def _describe(x: np.ndarray) -> str:
    """The width of features, the shape of other rows."""
    if x.dtype.names:
        return ", ".join(f"{name} {x[name].shape[1:]}" for name in x.dtype.names)
    return str(x.shape[1] if x.ndim == 2 else x.shape[1:])


def check_labels(path: Path, domain: str, arrays: dict[str, np.ndarray], n: int) -> np.ndarray:
    key = f"{domain}_y"
    y = arrays[key]
    if y.shape in ((n, 1), (1, n)):
        y = y.reshape(n)
    if y.ndim != 1 or len(y) != n:
        raise DalibError(f"{path}: {key} has shape {y.shape} but {domain}_x has {n} rows; expected ({n},)")
    if y.dtype.kind in "US":
        words = as_words(path, key, y)
        blank = np.char.strip(words) == ""
        if blank.any():
            raise DalibError(
                f"{path}: {key} has no word in {blank.sum()} of {n} rows, first in row {blank.argmax()}; if that means "
                "'no label', move these rows to a domain of their own without labels; else call the class something"
            )
        return words
    if y.dtype.kind == "b":
        return y
    number = y.dtype.kind in "iuf"
    gone = y != y if number and (y != y).any() else y == -1 if number and y.min() == -1 else np.zeros(n, bool)
    if gone.any():
        what = "the negative label -1" if (y == -1).any() and not (y != y).any() else "NaN"
        raise DalibError(
            f"{path}: {key} has {what} in {gone.sum()} of {n} rows, first in row {gone.argmax()}; if that means 'no "
            f"label', move these rows to a domain of their own without labels; classes are integers >= 0"
        )
    if y.dtype.kind not in "iuf" or (y.dtype.kind == "f" and not (y == np.floor(y)).all()):
        raise DalibError(
            f"{path}: {key} holds {y.dtype} values that are not integers; labels are integers >= 0, or "
            "numbers to be learnt: store objective = 'regression' then"
        )
    if (y < 0).any():
        raise DalibError(f"{path}: {key} has the negative label {int(y.min())}; labels are integers >= 0")
    most = 53 if y.dtype.kind == "f" else 63
    if y.max(initial=0) >= 2**most:
        raise DalibError(f"{path}: {key} has the label {y.max()}; labels of type {y.dtype} are below 2**{most}")
    return y.astype(np.int64)


def as_words(path: Path, key: str, words: np.ndarray) -> np.ndarray:
    """Text, whether it was stored as such or as bytes."""
    try:
        return np.char.decode(words, "utf-8") if words.dtype.kind == "S" else words
    except UnicodeDecodeError as error:
        raise DalibError(f"{path}: {key} holds bytes that are no UTF-8 text; store words") from error


def _check_names(path: Path, domain: str, arrays: dict[str, np.ndarray], n: int) -> tuple[str, ...]:
    names = arrays.get(f"{domain}_names")
    if names is None:
        return ()
    if names.shape != (n,):
        raise DalibError(f"{path}: {domain}_names has shape {names.shape} but {domain}_x has {n} rows; expected ({n},)")
    return tuple(map(str, as_words(path, f"{domain}_names", names)))


def name_classes(
    path: Path, labels: dict[str, np.ndarray], classes: np.ndarray | None
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    sorts = {"b": "booleans", "U": "words", "S": "words"}
    kinds = {sorts.get(y.dtype.kind, "whole numbers") for y in labels.values()}
    if len(kinds) > 1:
        raise DalibError(f"{path}: labels are {' here and '.join(sorted(kinds))} there; give every domain the same")
    if kinds == {"words"} and classes is not None:
        return _look_up(path, labels, classes)
    if kinds == {"booleans"} and classes is not None:
        labels = {d: y.astype(np.int64) for d, y in labels.items()}
    if classes is None:
        values = np.unique(np.concatenate(list(labels.values())))
        return tuple(str(v) for v in values), {d: np.searchsorted(values, y) for d, y in labels.items()}
    if classes.ndim != 1 or len(set(map(str, classes))) != len(classes):
        raise DalibError(f"{path}: classes must be a list of distinct names, one per label")
    for domain, y in labels.items():
        if y.max() >= len(classes):
            raise DalibError(f"{path}: {domain}_y has label {y.max()} but classes names only {len(classes)}")
    return tuple(map(str, classes)), labels


def refuse_one_word(path: Path, what: str, names: Sequence[str]) -> None:
    """DalibError for a blank name, or two that nobody can tell apart: but for blanks around them, or for how accents
    are stored.
    """
    seen: dict[str, str] = {}
    for name in names:
        plain = canonical(name)
        if not plain:
            raise DalibError(f"{path}: a {what} is called {name!r}; give it a name that can be seen")
        if plain in seen:
            raise DalibError(
                f"{path}: {seen[plain]!a} and {name!a} are both '{plain}', but for blanks or how accents are stored; "
                f"spell the {what} alike"
            )
        seen[plain] = name


def tell_alike(what: str, names: Sequence[str]) -> tuple[str, ...]:
    """A remark for every name that differs from another in case, blanks, `_` and `-` only."""
    seen: dict[str, str] = {}
    pairs = [(first, name) for name in names if (first := seen.setdefault(lookalike(name), name)) != name]
    return tuple(f"'{a}' and '{b}' are two {what} here; if they are one, spell them alike" for a, b in pairs)


def read_classes(path: Path, arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """The names of the labels, where the file has them."""
    names = arrays.get("classes")
    return as_words(path, "classes", names) if names is not None and names.dtype.kind == "S" else names


def _look_up(
    path: Path, labels: dict[str, np.ndarray], classes: np.ndarray
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Labels that are words, as positions in `classes`."""
    places = {str(name): k for k, name in enumerate(classes)}
    if classes.ndim != 1 or len(places) != len(classes):
        raise DalibError(f"{path}: classes must be a list of distinct names, one per label")
    for domain, y in labels.items():
        strange = sorted({str(label) for label in y.tolist()} - set(places))
        if strange:
            raise DalibError(f"{path}: {domain}_y has the label {strange[0]!r}, which classes does not name")
    return tuple(places), {
        d: np.array([places[str(label)] for label in y.tolist()], np.int64) for d, y in labels.items()
    }
