"""Rows that are neither image files nor ready features as material: a network that fits them makes their features."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np

from dalib.advice.images import choose_backbone
from dalib.advice.material import Material, Options, Part, pick_rows
from dalib.backbones import load_backbone, takes_rows
from dalib.core.backbone import Backbone
from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.registry import DATASETS
from dalib.core.rows import row_shape
from dalib.core.types import Domain
from dalib.data.arrays import load_arrays, warp_images
from dalib.data.backbone import suit_rows
from dalib.data.declaration import match_declaration
from dalib.data.normalise import prepare_rows
from dalib.feed.embed import embed_images
from dalib.train.device import pick_device


def embed_samples(
    where: str, x: dict[str, np.ndarray], picked: dict[str, np.ndarray], options: Options
) -> tuple[dict[str, np.ndarray], Backbone]:
    """Features (n, d) of the picked rows of each domain, and the network that made them.

    Args
        where: the file, for messages
        x: domain -> all its rows (n, *S), or a structured array of modalities (n,)
    Raises
        DalibError: images, rows that no network here fits, or a backbone of other rows
    """
    first = next(iter(x.values()))
    fits = suit_rows(first)
    name = options.backbone or next(iter(fits), "")
    if not name or not takes_rows(name):
        what = f"backbone '{name}' does not take" if name else "no backbone takes"
        raise DalibError(f"{where}: {what} rows {row_shape(first)}; use {', '.join(fits) or 'dalib.Backbone.of'}")
    rows = {d: prepare_rows(a, options.normalise) for d, a in x.items()}
    network = load_backbone(name, options.weights or "none", rows=row_shape(*rows.values()), seed=0)
    device = pick_device(options.device)
    features = {d: embed_images(network, Domain(d, a[picked[d]], None, (), "sample"), device) for d, a in rows.items()}
    return {d: np.asarray(z, np.float64) for d, z in features.items()}, network


def refuse_images(where: str, x: np.ndarray) -> None:
    """DalibError for images (n, H, W), (n, H, W, 3) or (n, 3, H, W) uint8: their data set says what they are."""
    if x.dtype == np.uint8 and x.ndim in (3, 4):
        named = [n for n in DATASETS.names() if DATASETS.get(n).kind == "arrays"]
        raise DalibError(
            f"{where} holds images in arrays {x.shape[1:]}; give the name of their data set ({', '.join(named)}) "
            f"in its place, and --data-root {where} (root=…)"
        )


def open_arrays(info: DatasetInfo, file: Path, options: Options) -> Material:
    """A data set of images in arrays: a sample of each domain through a frozen backbone."""
    stored = load_arrays(file, info.domains)
    match = match_declaration(info, stored.counts(), str(file), info.classes)
    kept = Material(info.name, options.data_root, "images", match.classes, {}, bool(match.differences))
    network = choose_backbone(kept, file, info, options)
    kept.backbone = (network.name, options.weights if options.backbone and options.weights else network.weights)
    assert network.preprocess is not None
    for done, domain in enumerate(match.domains):
        options.report(done, len(match.domains))
        known = np.flatnonzero(stored.y[domain] < len(match.classes))
        picked, y = known[pick_rows(len(known), options.rows)], stored.y[domain]
        images = list(chain.from_iterable(stored.x[domain]))
        x = warp_images([images[i] for i in picked], network.preprocess.resize)
        n = Counter(match.classes[k] for k in y[known])
        z = embed_images(network, Domain(domain, x, None, (), "sample"), pick_device(options.device))
        part = Part(domain, {c: n[c] for c in match.classes if n[c]}, len(known), z=z.astype(np.float64), y=y[picked])
        height, width = stored.x[domain][0].shape[1:3]
        part.side = (width, height)
        kept.parts[domain] = part
    return kept
