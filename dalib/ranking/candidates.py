"""The pretrained models that are compared: names, feature files, and their features of labelled rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from dalib.backbones import FAMILIES, own_weights, takes_rows
from dalib.backbones._classifier import load_classifier
from dalib.core.errors import DalibError
from dalib.core.registry import BACKBONES
from dalib.core.splits import pick_per_class
from dalib.core.types import Domain, Outputs
from dalib.data.backbone import backbone_for, check_backbone
from dalib.data.features import load_features
from dalib.data.loaded import LoadedData
from dalib.data.npz import read_arrays
from dalib.data.roots import find_feature_file
from dalib.feed.embed import embed_domain


@dataclass(frozen=True)
class Candidate:
    """label: as shown; name: of a backbone, or the path of a feature file, whose weights are empty."""

    label: str
    name: str
    weights: str = ""


def parse_candidates(items: Sequence[str], weights: str = "") -> list[Candidate]:
    """`["tiny", "tiny:none", "resnet50:weights.pth", "features.npz"]` -> candidates.

    Args
        weights: of backbones without `:WEIGHTS`; empty = each one's own
    One that is built to fit its rows has no weights of its own: random ones, shown as `cnn1d:none`.

    Raises
        DalibError: nothing given, an unknown backbone, one twice
    """
    candidates = []
    for item in filter(None, (part.strip() for part in items)):
        name, _, named = item.partition(":")
        if name in FAMILIES:
            model, _, named = named.partition(":")
            name = f"{name}:{model}"
        if item.endswith(".npz") and not named:
            candidates.append(Candidate(Path(item).name, item))
            continue
        BACKBONES.get(name.partition(":")[0])
        named = named or ("none" if not weights and takes_rows(name) else "")
        label = f"{name}:{Path(named).name}" if named else name
        candidates.append(Candidate(label, name, named or weights or own_weights(name)))
    labels = [c.label for c in candidates]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice or not candidates:
        what = f"names {', '.join(twice)} twice" if twice else "is empty"
        raise DalibError(f"backbones = {','.join(items) or repr('')} {what}; give names such as tiny,resnet50:imagenet")
    return candidates


def pick_rows(y: np.ndarray, classes: Sequence[str], fraction: float, seed: int) -> np.ndarray:
    """Row numbers of `fraction` of each class, at least two of it where it has them."""
    if not 0 < fraction <= 1:
        raise DalibError(f"fraction = {fraction} is out of range; above 0 and at most 1")
    domain = Domain("", np.zeros((len(y), 1), np.float32), y, tuple(classes), "")
    return pick_per_class(domain, lambda n: min(n, max(2, round(fraction * n))), np.random.default_rng(seed))[0]


def check_kind(candidate: Candidate, data: LoadedData) -> None:
    """Images need a network, features none, and other rows one that is built to fit."""
    if candidate.weights:
        try:
            check_backbone(data, candidate.name)
        except DalibError as error:
            raise DalibError(f"backbone {candidate.label} does not fit: {error}, or an .npz of features") from None


def embed_candidate(
    candidate: Candidate,
    data: LoadedData,
    target: str,
    device: torch.device,
    *,
    fraction: float,
    seed: int,
    crop: int = 0,
) -> Outputs:
    """Features of the labelled rows, and the pretrained classifier's logits where it has one.

    Raises
        DalibError: weights that are not there, a crop that does not fit, a feature file of other rows
    """
    if not candidate.weights:
        return _read_file(candidate, data, target, fraction, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = backbone_for(data, candidate.name, candidate.weights)
        fixed = backbone.preprocess if backbone.preprocess and backbone.preprocess.fixed else None
        if fixed and crop not in (0, fixed.crop) and candidate.name.startswith("timm:"):
            backbone = backbone_for(data, candidate.name, candidate.weights, options={"img_size": crop})
    if backbone.preprocess and crop:
        backbone = replace(backbone, preprocess=backbone.preprocess.at(crop))
    domain = data.domain(target, backbone.preprocess.resize if backbone.preprocess else None)
    if fraction < 1:
        rows = pick_rows(domain.labels, data.classes, fraction, seed)
        domain = domain.take(rows, f"rank:fraction={fraction}:seed={seed}")
    embedded = embed_domain(backbone, domain, device) if backbone.preprocess or backbone.rows else domain
    z = torch.from_numpy(np.array(embedded.x, dtype=np.float32))
    classifier = load_classifier(backbone, candidate.weights)
    with torch.inference_mode():
        logits = torch.zeros(len(z), 0) if classifier is None else classifier(z)
    return Outputs(z, logits.clone(), torch.as_tensor(domain.labels))


def _read_file(candidate: Candidate, data: LoadedData, target: str, fraction: float, seed: int) -> Outputs:
    """`<target>_x` and, where the file has them, `<target>_logits`, in the order of the data set's rows."""
    path = find_feature_file(candidate.name, None)
    stored = load_features(path)
    y = data.domain(target, 1 if data.kind == "images" else None).labels
    if target not in stored.x:
        raise DalibError(f"{path} has no {target}_x; its domains: {', '.join(stored.x)}")
    if stored.x[target].ndim != 2:
        raise DalibError(f"{path}: {target}_x does not hold features (n, d) but rows for a backbone; embed it")
    if target not in stored.y:
        raise DalibError(f"{path} has no {target}_y; features are ranked by labelled rows")
    labels = stored.y[target]
    pairs = set(zip(labels.tolist(), y.tolist(), strict=False))
    if len(labels) != len(y) or not len(pairs) == len(set(labels.tolist())) == len(set(y.tolist())):
        raise DalibError(
            f"{path}: the labels {target}_y ({len(labels)} rows) are not those of {data.name}'s {target} "
            f"({len(y)} rows); give features of the same rows in the same order"
        )
    logits = read_arrays(path).get(f"{target}_logits", np.zeros((len(y), 0)))
    if logits.ndim != 2 or len(logits) != len(y):
        raise DalibError(f"{path}: {target}_logits has shape {logits.shape}; expected ({len(y)}, classes)")
    rows = pick_rows(y, data.classes, fraction, seed)
    parts = (stored.x[target], logits)
    z, scores = (torch.from_numpy(np.asarray(part)[rows].astype(np.float32)) for part in parts)
    return Outputs(z, scores, torch.as_tensor(y[rows]))
