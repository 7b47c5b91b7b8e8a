"""The rows of a new domain as a trained model takes them, and their labels where they are there to measure by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dalib.core.errors import DalibError
from dalib.core.rows import RowView
from dalib.core.types import Domain
from dalib.data.catalog import load_data
from dalib.data.decode import decode_domain
from dalib.data.folders import ImageTree
from dalib.data.given_rows import check_domain, check_given
from dalib.data.loaded import LoadedData
from dalib.data.normalise import find_moments, normalise_features
from dalib.data.pictures import Pictures
from dalib.data.unlabelled import read_rows
from dalib.data.unreadable import count_skipped, skip_unreadable
from dalib.evaluation import label_as_trained, load_domain
from dalib.train.fitted import Fitted


@dataclass(frozen=True)
class TargetRows:
    """rows: normalised as the model was trained, with the model's numbers for labels, which measure and are not used.

    moments: by which rows were z-scored
    remarks: what the data were read as, and what was left out
    """

    rows: Domain
    moments: tuple[tuple[Any, Any], ...] = ()
    remarks: tuple[str, ...] = ()


def open_target(
    model: Fitted,
    target: Domain | np.ndarray | str | Path,
    domain: str = "",
    *,
    root: str | Path | None = None,
    skips: bool = False,
) -> TargetRows:
    """See `dalib.adapt` for what a target may be.

    Raises
        DalibError: nothing there, rows of another sort than the model takes, numbers that are none (NaN), classes that
            it does not know, one class
    """
    if not isinstance(target, (Domain, np.ndarray, str, Path)):
        raise DalibError(
            f"target is a {type(target).__name__}; give a path, a name, a Domain or rows (np.asarray(target))"
        )
    if isinstance(target, (Domain, np.ndarray)):
        if domain or root:
            raise DalibError("domain and root belong to data given by name or path; rows are one domain already")
        found = _of_rows(model, target)
    elif root is None and _names_a_path(str(target)) and not Path(target).expanduser().exists():
        raise DalibError(f"no folder or file {target}; give the path of the target's rows, or the name of a data set")
    elif model.backbone.preprocess and not domain and root is None and Path(target).expanduser().exists():
        found = _of_pictures(model, Path(target).expanduser(), skips)
    elif model.backbone.preprocess:
        rows, remarks = load_domain(model, str(target), domain, root, skips)
        found = TargetRows(rows, (), remarks)
    else:
        found = _of_features(model, str(target), domain, root)
    rows = found.rows
    if rows.y is not None:
        rows = label_as_trained(model, rows)
        answers = np.unique(rows.labels) if rows.objective == "classification" else np.zeros(0)
        if len(rows) > 1 and len(answers) == 1 and answers[0] < len(rows.classes):
            raise DalibError(
                f"all {len(rows)} rows of '{rows.name}' are '{rows.classes[int(answers[0])]}', so a model that adapts "
                "to them forgets the other classes; give rows of 2 classes or more"
            )
    return replace(found, rows=rows)


def _names_a_path(target: str) -> bool:
    """It has folders or an ending, and is no `features:FILE`."""
    return ":" not in target and (len(Path(target).parts) > 1 or bool(Path(target).suffix))


def _of_rows(model: Fitted, target: Domain | np.ndarray) -> TargetRows:
    """Of a `Domain` they are as the model takes them; those of an array are normalised by their own moments."""
    if isinstance(target, Domain):
        return TargetRows(check_domain(target), model.moments)
    steps = model.extra.get("normalise", ())
    target = check_given(target, "target", scaled=bool(steps))
    moments = find_moments(target, steps) if "zscore" in steps else ()
    x = normalise_features(target, steps) if steps else target
    return TargetRows(Domain("target", x, None, model.classes, "given"), moments)


def _of_pictures(model: Fitted, path: Path, skips: bool) -> TargetRows:
    """All pictures below a path; their folders are labels where each of them is called as one of the classes."""
    prepare = model.backbone.preprocess
    assert prepare is not None
    name = path.stem if path.is_file() else path.name or str(path)
    tree: ImageTree = Pictures(path, name)
    tree = skip_unreadable(tree) if skips else tree
    files = tree.of_domain(name)
    x: np.ndarray | RowView = decode_domain(tree, name, prepare.resize)
    members = tuple(f.member for f in files)
    y, said = _read_folders(members, model.classes)
    fingerprint = f"{tree.fingerprint(name)}:{prepare.resize}px"
    told = (f"target {path}: {len(files)} images; {said}", *tree.listing.remarks(), count_skipped(tree))
    return TargetRows(Domain(name, x, y, model.classes, fingerprint, members), (), tuple(filter(None, told)))


def _read_folders(members: tuple[str, ...], classes: tuple[str, ...]) -> tuple[np.ndarray | None, str]:
    """(labels or None, what the folders were taken for)."""
    folders = [PurePosixPath(member).parent.name for member in members]
    named = sorted({*folders})
    known = [name for name in named if name in classes]
    if len(known) == len(named) and known:
        y = np.array([classes.index(folder) for folder in folders], np.int64)
        return y, "its folders are classes, by which accuracy is measured and nothing else"
    if known:
        strange = [name or "(none)" for name in named if name not in classes]
        few = ", ".join(strange[:3]) + (" …" if len(strange) > 3 else "")
        return None, f"its folders are not read as labels, since {few} is none of the model's classes"
    return None, "its folders are not read"


def _of_features(model: Fitted, target: str, domain: str, root: str | Path | None) -> TargetRows:
    """One domain of a feature file, z-scored, where the model was trained so, by its own moments."""
    steps = model.extra.get("normalise", ())
    path = Path(target).expanduser()
    if root is not None or not path.exists():
        loaded = load_data(target, root, normalise=steps, partial=True)
        if loaded.kind != "features":
            raise DalibError(f"{target} holds images; the model takes feature rows of width {model.backbone.dim}")
        there = (*loaded.domains, *loaded.unlabelled)
        if not domain and len(there) > 1:
            raise DalibError(f"{target} has the domains {', '.join(there)}; say which one, --domain D (domain=…)")
        name = domain or there[0]
        return TargetRows(loaded.domain(name), loaded.moments(name), _tell(loaded))
    if path.suffix == ".npz":
        loaded_domain = _labelled_features(path, domain, steps)
        if loaded_domain is not None:
            return loaded_domain
    _, x = read_rows(path, domain, model.backbone.rows)
    moments = find_moments(x, steps) if "zscore" in steps else ()
    x = normalise_features(x, steps) if steps else x
    return TargetRows(Domain(domain or path.stem, x, None, model.classes, str(path)), moments)


def _labelled_features(path: Path, domain: str, steps: Any) -> TargetRows | None:
    """The domain of that name with its labels; None where the file is no data set of dalib's, or has several."""
    try:
        loaded = load_data(f"features:{path}", normalise=steps, partial=True)
    except DalibError:
        return None
    there = (*loaded.domains, *loaded.unlabelled)
    name = domain or (there[0] if len(there) == 1 else "")
    if name not in there:
        return None
    return TargetRows(loaded.domain(name), loaded.moments(name), _tell(loaded))


def _tell(loaded: LoadedData) -> tuple[str, ...]:
    """What there is to say of a file; one that lacks classes is read, as by `dalib evaluate`, and this says so."""
    return (*loaded.remarks, *((f"partial: {loaded.note}",) if loaded.note else ()))
