"""`dalib data verify` of a file of rows: shapes, labels, NaN, blank and repeated rows, rare classes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.registry import DATASETS
from dalib.data.answers import odd_answers, read_domain
from dalib.data.arrays import LAYOUT as IMAGES
from dalib.data.declaration import match_declaration
from dalib.data.features import find_keys, find_labelled, read_objective
from dalib.data.npz import LAYOUT as FEATURES
from dalib.data.npz import read_arrays
from dalib.data.roots import find_feature_file, find_root
from dalib.data.verify import ODD_ANSWERS, Finding, sort_findings

RARE, UNBALANCED = 3, 10
KINDS = {
    "malformed": "an array that cannot be used as it is; its rows are not looked at",
    "label": "labels that are missing everywhere, no classes, or without a class name",
    "not finite": "rows with NaN or infinity",
    "incomplete": "differs from the declaration, or a class that other domains have is missing",
    "odd answers": ODD_ANSWERS,
    "blank": "rows whose values are all the same",
    "duplicate": "same values as another row of its domain and class",
    "duplicate across domains": "same values as a row of the same class in another domain",
    "duplicate across classes": "same values as a row with another label: at least one label is wrong",
    "rare class": f"fewer than {RARE} rows in a domain: none of them can be held out",
    "unbalanced": f"the largest class of a domain has more than {UNBALANCED} times the rows of the smallest",
}
"""Kind of finding -> what it means, gravest first."""


@dataclass(frozen=True)
class _Part:
    """Rows of one domain: x, modality -> (n, *S), and labels (n,) or answers (n, m), None where they are none."""

    domain: str
    name: str
    x: Mapping[str, np.ndarray]
    y: np.ndarray | None

    def __len__(self) -> int:
        return len(next(iter(self.x.values())))


def verify_rows(root: str | Path, dataset: str = "features") -> list[Finding]:
    """List what is wrong in a feature file or a file of images, gravest kinds first.

    Args
        root: the .npz, or a folder that holds that of a declared data set
        dataset: `features`, or one of kind `arrays`
    Raises
        DalibError: nothing there, not an .npz, or without any `<domain>_x`
    """
    info = DATASETS.get(dataset)
    path = (
        find_root(info, root) if info.kind == "arrays" else find_feature_file(str(root).removeprefix("features:"), None)
    )
    arrays = read_arrays(path)
    keys = _declared_keys(info, arrays) if info.domains else {d: (d, own) for d, own in find_keys(arrays).items()}
    if not keys:
        domains = f"{', '.join(info.domains)}; " if info.domains else ""
        raise DalibError(
            f"{path} has no key <domain>_x ({domains}first keys: {', '.join(list(arrays)[:6]) or 'none'}); "
            f"expected {IMAGES if info.kind == 'arrays' else FEATURES}"
        )
    objective = read_objective(arrays)
    names = info.classes or tuple(map(str, arrays.get("classes", ())))
    parts: list[_Part] = []
    lone = [k for k in arrays if k.endswith("_y") and k[:-2] not in keys and not info.domains]
    findings = [_finding("malformed", k[:-2], k, f"no {k[:-2]}_x beside it") for k in lone]
    bare: set[str] = set()
    if not info.domains:
        try:
            bare = set(keys) - set(find_labelled(path, list(keys), arrays)[0])
        except DalibError as error:
            bare = set(keys)
            findings.append(_finding("label", "", path.name, str(error).removeprefix(f"{path} has ")))
    for stem, (domain, own) in keys.items():
        x = {name: arrays[key] for name, key in own.items()}
        wrong = [_finding("malformed", domain, own[k], w) for k, a in x.items() if (w := _misfit(a, info))]
        if len({a.shape[:1] for a in x.values()}) > 1:
            listed = ", ".join(f"{own[k]} {len(a)}" for k, a in x.items())
            wrong.append(_finding("malformed", domain, stem, f"modalities differ in rows: {listed}"))
        findings += wrong
        if wrong:
            continue
        n = len(next(iter(x.values())))
        y, problems = None, list[str]()
        if objective != "classification":
            y, problems = _answers(path, objective, f"{stem}_y", arrays, n)
        elif stem not in bare:
            y, problems = _labels(arrays.get(f"{stem}_y"), n, names)
        findings += [_finding("label", domain, f"{stem}_y", detail) for detail in problems]
        parts.append(_Part(domain, "/".join(own.values()), x, y))
    told = {part.domain: part.y for part in parts if objective != "classification" and part.y is not None}
    if len({y.shape[1] for y in told.values()}) == 1:
        width = next(iter(told.values())).shape[1]
        called = names if len(names) == width else tuple(f"y{k}" for k in range(width))
        odd = odd_answers(objective, called, told)
        findings += [_finding("odd answers", d, f"{d}_y", f"{name}: {detail}") for d, name, detail in odd]
    findings += _differing_shapes(parts, info)
    findings += [f for part in parts for f in _odd_rows(part)]
    findings += _duplicates(parts)
    if objective == "classification" and not any(f.kind in ("malformed", "label") for f in findings):
        findings += _classes(info, parts, names, str(path))
    return sort_findings(findings, KINDS)


def _finding(kind: str, domain: str, where: str, detail: str, cls: str = "") -> Finding:
    return Finding(kind, domain, cls, where, detail)


def _declared_keys(info: DatasetInfo, arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[str, dict[str, str]]]:
    """stem -> (declared domain, {"": key}); parts such as `usps_train` belong to `usps`."""
    domains = {}
    for stem in (k[:-2] for k in arrays if k.endswith("_x")):
        domain = next((d for d in info.domains if stem == d or stem.startswith(f"{d}_")), None)
        if domain:
            domains[stem] = (domain, {"": f"{stem}_x"})
    return domains


def _misfit(x: np.ndarray, info: DatasetInfo) -> str:
    """Why an array of rows cannot be used; empty where it can."""
    if info.kind == "arrays":
        fits = x.dtype == np.uint8 and x.ndim in (3, 4) and (x.ndim == 3 or x.shape[3] == 3) and 0 not in x.shape
        return "" if fits else f"{x.dtype} {x.shape}; expected uint8 (n, H, W) or (n, H, W, 3)"
    if x.ndim < 2 or 0 in x.shape:
        return f"shape {x.shape}; expected (n, d), or (n, channels, time), one row per sample"
    return "" if x.dtype.kind in "iufb" else f"dtype {x.dtype}; expected real numbers"


def _labels(y: np.ndarray | None, n: int, names: Sequence[str]) -> tuple[np.ndarray | None, list[str]]:
    """(labels, what is wrong with them); None unless there is one whole number, word or yes/no per row."""
    if y is None:
        return None, ["missing; each domain of this data set has labels"]
    if y.shape in ((n, 1), (1, n)):
        y = y.reshape(n)
    if y.shape != (n,):
        return None, [f"shape {y.shape} for {n} rows; expected ({n},)"]
    if y.dtype.kind in "US":
        strange = y[~np.isin(y.astype(str), names)] if names else y[:0]
        return y.astype(str), [f"{len(strange)} labels that are none of the classes: {s}" for s in strange[:1]]
    if y.dtype.kind not in "iufb" or (y.dtype.kind == "f" and not (y == np.floor(y)).all()):
        return None, [f"{y.dtype} values that are no whole numbers"]
    problems = []
    for wrong, what in ((y < 0, "negative"), (y >= len(names), f"above {len(names) - 1}, the last of the classes")):
        if wrong.any() and (what == "negative" or names):
            problems.append(f"{wrong.sum()} labels {what}: {_some(y[wrong])} in {_rows(np.flatnonzero(wrong))}")
    return y.astype(np.int64), problems


def _answers(
    path: Path, objective: str, key: str, arrays: Mapping[str, np.ndarray], n: int
) -> tuple[np.ndarray | None, list[str]]:
    """`_labels` where labels are no classes."""
    if key not in arrays:
        return None, []
    try:
        return read_domain(path, objective, key, arrays, n), []
    except DalibError as error:
        return None, [str(error).removeprefix(f"{path}: ").removeprefix(f"{key} ")]


def _differing_shapes(parts: Sequence[_Part], info: DatasetInfo) -> Iterator[Finding]:
    """Images of a data set of kind `arrays` may differ in size: they are warped to one."""
    for part in parts[1:] if info.kind != "arrays" else ():
        for (name, a), b in zip(part.x.items(), parts[0].x.values(), strict=False):
            if a.shape[1:] != b.shape[1:]:
                detail = f"rows {a.shape[1:]}, but {b.shape[1:]} in {parts[0].domain}; give every domain the same"
                sets = [n for n in DATASETS.names() if DATASETS.get(n).kind == "arrays"] if a.dtype == np.uint8 else []
                other = f"; or name the data set of these images, --dataset (dataset=…): {', '.join(sets)}"
                detail += other if sets else ""
                yield _finding("malformed", part.domain, f"{part.name}{name and f' ({name})'}", detail)
        if list(part.x) != list(parts[0].x):
            detail = f"modalities {', '.join(part.x)}, but {', '.join(parts[0].x)} in {parts[0].domain}"
            yield _finding("malformed", part.domain, part.name, detail)


def _odd_rows(part: _Part) -> Iterator[Finding]:
    for a in part.x.values():
        flat = a.reshape(len(a), -1)
        for kind, odd in (
            ("not finite", ~np.isfinite(flat).all(1) if a.dtype.kind == "f" else np.zeros(len(a), bool)),
            ("blank", (flat == flat[:, :1]).all(1) if flat.shape[1] > 1 else np.zeros(len(a), bool)),
        ):
            if odd.any():
                yield _finding(kind, part.domain, part.name, f"{odd.sum()} of {len(a)}: {_rows(np.flatnonzero(odd))}")


def _duplicates(parts: Sequence[_Part]) -> Iterator[Finding]:
    """Each row after the first with its values, compared with the one it has most in common with."""
    seen: dict[bytes, list[tuple[_Part, int]]] = {}
    for part in parts:
        for i in range(len(part)):
            digest = hashlib.sha256()
            for a in part.x.values():
                row = a[i] if a.dtype.kind in "iub" else a[i].astype(np.float64) + 0.0
                digest.update(f"{row.shape}".encode() + np.ascontiguousarray(row).tobytes())
            known = seen.setdefault(digest.digest(), [])
            label = _label(part, i)
            if known:
                twin, j = max(known, key=lambda k: (_differ(_label(*k), label), k[0].domain == part.domain))
                kind = "duplicate" if twin.domain == part.domain else "duplicate across domains"
                kind = "duplicate across classes" if _differ(_label(twin, j), label) else kind
                detail = f"same values as {twin.name} row {j} (labels {label}, {_label(twin, j)})"
                yield _finding(kind, part.domain, f"{part.name} row {i}", detail)
            known.append((part, i))


def _label(part: _Part, row: int) -> Any:
    return None if part.y is None else part.y[row].tolist()


def _differ(a: Any, b: Any) -> bool:
    return a is not None and b is not None and a != b


def _classes(info: DatasetInfo, parts: Sequence[_Part], names: Sequence[str], where: str) -> Iterator[Finding]:
    """Against the declaration and the other domains, then each domain by itself."""
    counts: dict[str, dict[str, int]] = {}
    for part in parts:
        if part.y is None:
            continue
        there = counts.setdefault(part.domain, {})
        for k, n in zip(*np.unique(part.y, return_counts=True), strict=True):
            name = names[k] if names and not isinstance(k, str) else str(k)
            there[name] = there.get(name, 0) + int(n)
    for difference in match_declaration(info, counts, where, names).differences:
        yield _finding("incomplete", "", "", difference)
    for domain, there in counts.items():
        for cls, n in there.items():
            if n < RARE:
                yield _finding("rare class", domain, "", f"{n} rows", cls)
        least, most = min(there, key=there.__getitem__), max(there, key=there.__getitem__)
        if there[most] > UNBALANCED * there[least]:
            detail = f"'{most}' has {there[most]} rows, '{least}' {there[least]}"
            yield _finding("unbalanced", domain, domain, detail)


def _rows(index: np.ndarray, most: int = 5) -> str:
    return f"row{'s' if len(index) > 1 else ''} {_some(index, most)}"


def _some(values: np.ndarray, most: int = 5) -> str:
    return ", ".join(f"{v:g}" for v in values[:most]) + (", …" if len(values) > most else "")
