"""`dalib.rank`: pretrained backbones compared on a target by transferability measures; nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dalib.core.errors import DalibError, unknown
from dalib.core.objective import refuse_answers
from dalib.core.registry import MEASURES
from dalib.core.types import pick_domain
from dalib.data.backbone import suit_rows
from dalib.data.catalog import load_data
from dalib.data.loaded import LoadedData
from dalib.ranking.candidates import check_kind, embed_candidate, parse_candidates
from dalib.report.ranking import Ranking
from dalib.train.device import pick_device

IMAGES = ("tiny", "tiny:none")
"""What is compared on images unless something is named: needs no download."""


def rank(
    data: LoadedData | str,
    target: str,
    backbones: Sequence[str] = (),
    measures: Sequence[str] = (),
    *,
    weights: str = "",
    fraction: float = 1.0,
    crop: int = 0,
    seed: int = 0,
    device: str = "auto",
    root: str | Path | None = None,
    partial: bool = False,
    normalise: Sequence[str] = (),
    skip_unreadable: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Ranking:
    """Score pretrained backbones on the labelled rows of a domain by transferability measures.

    Args
        data: what `load_data` returned, or the name of a data set, which is then loaded by `root`, `partial`,
            `normalise` and `skip_unreadable`
        target: the domain
        backbones: `NAME`, `NAME:WEIGHTS` or a feature file (.npz) of the same rows; none: `tiny` and `tiny:none` for
            images, `identity` for features, those that fit for other rows
        measures: names (`dalib list measures`); none = all
        weights: of backbones without `:WEIGHTS`; empty = each one's own
        fraction: part of each class that counts as labelled, in (0, 1]
        crop: side of the images in pixels; 0 = each backbone's
        seed: decides random weights and the labelled rows, >= 0
        device: `auto`, `cpu`, `cuda`, `cuda:N`
        progress: called with (backbones done, backbones)

    Raises
        DalibError: an unknown name, a value out of range, a backbone or file of other rows
    """
    names = tuple(measures) or tuple(MEASURES.names())
    for name in names:
        if name not in MEASURES:
            raise unknown("measure", name, MEASURES.names(), "dalib list measures")
    if crop < 0:
        raise DalibError(f"crop = {crop} is not a size; give pixels >= 1, or 0 for each backbone's own")
    if seed < 0:
        raise DalibError(f"seed = {seed} is negative; give 0 or more")
    if backbones:
        parse_candidates(backbones, weights)
    where = pick_device(device)
    if isinstance(data, str):
        how: dict[str, Any] = {"normalise": normalise, "skip_unreadable": skip_unreadable}
        data = load_data(data, root, partial=partial, progress=progress, **how)
    refuse_answers(data.objective, data.name, "measures of transferability")
    if target in data.unlabelled:
        raise DalibError(
            f"domain '{target}' of {data.name} has no labels, which every measure compares features with; label a few "
            f"of its rows, or rank on {', '.join(data.domains)}"
        )
    pick_domain(dict.fromkeys(data.domains), target, data.name)
    chosen, notes = _choose(data, target, backbones)
    candidates = parse_candidates(chosen, weights)
    for candidate in candidates:
        check_kind(candidate, data)
    outputs, scores = [], []
    for done, candidate in enumerate(candidates):
        progress(done, len(candidates))
        rows = embed_candidate(candidate, data, target, where, fraction=fraction, seed=seed, crop=crop)
        outputs.append(rows)
        scores.append([MEASURES.get(name)().score(rows) for name in names])
    return Ranking(
        f"{data.name} {target}: {len(outputs[0].z)} labelled rows",
        tuple(candidate.label for candidate in candidates),
        names,
        tuple(rows.z.shape[1] for rows in outputs),
        np.array(scores, dtype=float),
        notes,
    )


def _choose(data: LoadedData, target: str, given: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(backbones to compare, notes for below the table)."""
    notes = [f"Partial data: {data.note}."] if data.note else []
    if data.kind != "features":
        return tuple(given) or IMAGES, tuple(notes)
    x = data.domain(target).x
    chosen = tuple(given) or (("identity",) if x.ndim == 2 else suit_rows(x) or ("identity",))
    if x.ndim == 2 and x.dtype.kind in "iu" and "identity" in chosen:
        notes.append(
            f"identity takes whole numbers as they are; for token ids: --backbones (backbones=…) "
            f"{','.join(suit_rows(x))}."
        )
    return chosen, tuple(notes)
