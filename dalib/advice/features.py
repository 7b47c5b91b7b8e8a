"""A file of features or other rows as material."""

from __future__ import annotations

from collections import Counter

import numpy as np

from dalib.advice.images import MEASURES
from dalib.advice.material import Material, Options, Part, pick_rows
from dalib.advice.rows import embed_samples, refuse_images
from dalib.core.errors import DalibError
from dalib.core.objective import refuse_answers
from dalib.data.features import (
    check_labels,
    find_keys,
    find_labelled,
    name_classes,
    read_classes,
    read_feature_rows,
    read_objective,
)
from dalib.data.normalise import normalise_features
from dalib.data.npz import LAYOUT, read_arrays
from dalib.data.roots import find_feature_file


def open_features(path: str, options: Options) -> Material:
    """`<domain>_x` and `<domain>_y` of an .npz; a domain without labels is an unlabelled target."""
    file = find_feature_file(path, options.data_root)
    arrays = read_arrays(file)
    refuse_answers(read_objective(arrays), str(file), MEASURES)
    keys = find_keys(arrays)
    if not keys:
        raise DalibError(f"{file} has no key <domain>_x; expected {LAYOUT}")
    domains = list(keys)
    known, said = find_labelled(file, domains, arrays)
    stored = {d: read_feature_rows(file, d, own, arrays) for d, own in keys.items()}
    first = stored[domains[0]]
    flat, whole = first.ndim == 2 and not first.dtype.names, first.dtype.kind in "iu"
    if (options.backbone or options.weights) and flat and not whole:
        raise DalibError(f"{file} holds features; leave out --backbone and --weights (backbone=…, weights=…)")
    for a in stored.values():
        refuse_images(str(file), a)
    shapes = {d: a.dtype.names or a.shape[1:] for d, a in stored.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{d} {shape[0] if len(shape) == 1 else shape}" for d, shape in shapes.items())
        raise DalibError(f"{file}: domains have different widths ({listed}); give every domain the same features")
    picked = {d: pick_rows(len(a), options.rows) for d, a in stored.items()}
    remarks, backbone = list(said), ("identity", "none")
    if options.backbone or not flat:
        z, network = embed_samples(str(file), stored, picked, options)
        backbone = (network.name, options.weights or "none")
        if network.weights == "none":
            remarks.append(
                f"the {network.name} has random weights, so distances and accuracies are rough; "
                "give --weights FILE (weights=…) for trained ones"
            )
    else:
        z = {d: normalise_features(a, options.normalise)[picked[d]].astype(np.float64) for d, a in stored.items()}
        if whole:
            remarks.append(
                "whole numbers are taken as they are; for token ids give --backbone bag_of_words (backbone=…)"
            )
    per_row = [step for step in options.normalise if step != "zscore"]
    classes, y = name_classes(
        file, {d: check_labels(file, d, arrays, len(stored[d])) for d in known}, read_classes(file, arrays)
    )
    parts = {}
    for d in domains:
        rows_of = Counter(y[d].tolist()) if d in y else {}
        labels = y[d][picked[d]] if d in y else np.zeros(0, np.int64)
        counts = {classes[k]: rows_of[k] for k in sorted(rows_of)}
        raw = normalise_features(stored[d], per_row)[picked[d]] if "zscore" in options.normalise else np.zeros((0, 0))
        parts[d] = Part(d, counts, len(stored[d]), z=z[d], y=labels, raw=raw)
    partial = any(len(p.counts) < len(classes) for p in parts.values() if p.labelled)
    how = (partial, options.normalise, backbone)
    return Material(f"features:{file}", None, "features", classes, parts, *how, remarks=remarks)
