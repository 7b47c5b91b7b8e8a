"""Rows of arrays: packed images, and feature files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.rows import RowView, take_rows
from dalib.core.types import Domain
from dalib.data.arrays import load_arrays, resize_domain
from dalib.data.declaration import canonical, conventions, match_declaration
from dalib.data.features import FeatureSet, load_features
from dalib.data.loaded import LoadedData
from dalib.data.loading import accept
from dalib.data.normalise import Moments, find_moments, prepare_rows, warn_of_one_row


def load_array_data(dataset: str, info: DatasetInfo, where: Path, partial: bool) -> LoadedData:
    arrays = load_arrays(where, info.domains)
    match = match_declaration(info, arrays.counts(), str(where), info.classes)
    note = accept(info, match.differences, where, partial)

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


def load_feature_data(
    dataset: str, info: DatasetInfo, where: Path, partial: bool, normalise: tuple[str, ...]
) -> LoadedData:
    where = where / f"{info.name}.npz" if where.is_dir() else where
    stored: FeatureSet = load_features(where)
    if stored.objective == "classification":
        match = match_declaration(info, stored.counts(), str(where), stored.classes)
        note, classes, present, counts = (
            accept(info, match.differences, where, partial),
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

    def as_stored(name: str) -> Domain:
        key, (rows, y, known) = bare.get(name) or present[name], pick(name)
        files = tuple(n for n, keep in zip(stored.names[key], known, strict=False) if keep)
        return Domain(name, rows, y, classes, f"{stored.fingerprint}:{key}", files, objective=stored.objective)

    def load(name: str, resize: int | None) -> Domain:
        found = as_stored(name)
        if "zscore" in normalise:
            warn_of_one_row(found.x, "normalise = zscore", f"'{name}'")
        fingerprint = "".join((found.fingerprint, *(f":{step}" for step in normalise)))
        return replace(found, x=prepare_rows(np.asarray(found.x), normalise), fingerprint=fingerprint)

    return LoadedData(
        dataset, info, where, classes, tuple(present), counts, "features", stored.fingerprint, bool(note), note, load,
        objective=stored.objective, _measure=measure, _stored=as_stored,
        remarks=(*stored.remarks, *conventions(info, sum(counts.values()))),
        unlabelled={name: stored.unlabelled[key] for name, key in bare.items()},
    )  # fmt: skip
