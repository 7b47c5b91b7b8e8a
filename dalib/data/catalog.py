"""`load_data`: a data set by name, found, and checked against its declaration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dalib.core.errors import DalibError
from dalib.data.load_images import load_image_data
from dalib.data.load_places import load_box_data, load_scene_data
from dalib.data.load_rows import load_array_data, load_feature_data
from dalib.data.loaded import LoadedData
from dalib.data.normalise import normalise_features
from dalib.data.recognise import find_declaration
from dalib.data.roots import Progress, find_feature_file, find_root


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
        DalibError: unknown data set or step, a path in place of a name, nothing found, or not what the declaration says
    """
    name, _, path = dataset.partition(":")
    info = find_declaration(dataset)
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
        return load_feature_data(dataset, info, where, partial, tuple(normalise))
    if info.kind == "arrays":
        return load_array_data(dataset, info, where, partial)
    if info.kind == "masks" or (info.kind == "boxes" and info.domains):
        return load_scene_data(dataset, info, where, partial)
    if info.kind == "boxes":
        return load_box_data(dataset, info, where, partial)
    return load_image_data(dataset, info, where, partial, skip_unreadable)
