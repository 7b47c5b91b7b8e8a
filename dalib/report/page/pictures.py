"""Pictures that a row calls something else than the baseline does: fixed, broken, and those that both miss."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dalib.core.errors import DalibError
from dalib.records.manifest import Manifest
from dalib.records.record import Record
from dalib.records.spec import DataSpec, RunSpec
from dalib.report.page.maps import Arrays

if TYPE_CHECKING:
    from dalib.data.loaded import LoadedData

PICTURES = 240
"""In one page, unless asked otherwise."""
EACH = 12
"""Of one kind, of one row on one task."""
SIDE, QUALITY = 96, 70
"""Of a picture's longer side, and of its JPEG: about 3 KB each."""
KINDS = ("fixed", "broken", "missed")
"""Wrong by the baseline and right by the row; the other way round; wrong by both."""


@dataclass
class _Place:
    """One row of the suite on one task, first seed that both have: what it calls the test pictures.

    y, base, mine: (n,) what they are, what the baseline and the row call them; rows: (n,) their numbers in the domain
    kinds: kind -> positions in those arrays, in the order in which they are shown
    shown: positions that the page has
    """

    label: int
    task: int
    seed: int
    spec: RunSpec
    y: np.ndarray
    base: np.ndarray
    mine: np.ndarray
    rows: np.ndarray
    names: tuple[str, ...]
    kinds: dict[str, np.ndarray] = field(default_factory=dict)
    shown: set[int] = field(default_factory=set)


def gather_pictures(
    manifest: Manifest,
    baseline: str,
    records: dict[str, Record],
    arrays: Arrays,
    root: str | Path | None = None,
    most: int = PICTURES,
    most_bytes: int = 1_000_000,
) -> dict[str, Any]:
    """Small pictures of what rows call differently from the baseline, at the end of training, first seed of each.

    Which test row is which picture is decided by the data set and the protocol; it is taken only where the data are
    those of the record and all labels are those that were kept with the outputs.

    Args
        baseline: label of the row that others are compared with
        root: of the data; None = `DALIB_DATA`
        most, most_bytes: pictures, and characters of all of them together

    Returns
        `why` where there is none, a sentence; else `pool` (data URIs), `places` (row, task, seed, counts by kind, and
        per picture [kind, number in the pool, what it is, what the baseline and what the row call it]) and `left_out`
        (how many rows and tasks have no pictures, and a sentence why)
    """
    if most < 1:
        return {"why": "No pictures were asked for by --pictures 0 (pictures=0)."}
    if baseline not in manifest.labels:
        return {"why": "The suite has no baseline that rows could be compared with; name one in it: baseline = …"}
    finder = _Finder(root)
    places, reasons = _find_places(manifest, baseline, records, arrays, finder)
    if not places:
        common = max(set(reasons), key=lambda reason: (reasons.count(reason), reason), default="")
        return {"why": common or "No row beside the baseline has a run whose outputs were kept."}
    _sort_kinds(places)
    pool = _fill(places, finder, most, most_bytes)
    told = [_tell(place, pool) for place in places]
    left = {"n": len(reasons), "why": max(set(reasons), key=reasons.count)} if reasons else {}
    return {"pool": list(pool.values()), "places": told, "left_out": left}


class _Finder:
    """Which pictures the test rows of a run are, and the pictures."""

    def __init__(self, root: str | Path | None) -> None:
        self.root = str(root) if root is not None else None
        self._data: dict[DataSpec, LoadedData | str] = {}
        self._tests: dict[tuple[Any, ...], tuple[np.ndarray, np.ndarray, tuple[str, ...]] | str] = {}

    def data(self, spec: DataSpec) -> LoadedData | str:
        """The data of a record, or why they are not at hand."""
        if spec not in self._data:
            self._data[spec] = self._open(spec)
        return self._data[spec]

    def _open(self, spec: DataSpec) -> LoadedData | str:
        if not spec.fingerprint:
            return "The records do not tell which data they are of, so no picture can be told to be theirs."
        from dalib.assemble import open_data

        try:
            data = open_data(spec, self.root)
        except DalibError as error:
            return f"The pictures are not at hand: {error}"
        if data.fingerprint != spec.fingerprint:
            return f"The pictures of {data.name} in {data.root} are not those that the runs saw (another fingerprint)."
        if not data.has_pictures:
            return f"{data.name} holds no pictures that could be shown."
        return data

    def tests(self, spec: RunSpec) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]] | str:
        """(labels, numbers of the test rows in the target domain, names of labels), or why they are unknown."""
        key = spec.data, spec.source, spec.target, spec.protocol, spec.seed
        if key not in self._tests:
            self._tests[key] = self._divide(spec)
        return self._tests[key]

    def _divide(self, spec: RunSpec) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]] | str:
        data = self.data(spec.data)
        if isinstance(data, str):
            return data
        from dalib.core.types import name_unknown
        from dalib.data.tasks import make_task

        try:
            task = make_task(data.numbered(), spec.source, spec.target, spec.protocol, seed=spec.seed)
        except DalibError as error:
            return f"The data cannot be divided as the runs' were: {error}"
        names = (*task.classes, name_unknown(task.classes))
        return np.asarray(task.test.labels), np.asarray(task.test.x)[:, 0], names

    def thumbnail(self, spec: RunSpec, row: int) -> str | None:
        """A data URI; None where the file cannot be read any more."""
        try:
            return _thumbnail(spec.data, self.root, spec.target, row)
        except DalibError:
            return None


@lru_cache(maxsize=4096)
def _thumbnail(spec: DataSpec, root: str | None, domain: str, row: int) -> str:
    """Kept for a page that is made again while its suite runs."""
    from dalib.assemble import open_data

    picture, content = open_data(spec, root).picture(domain, row), io.BytesIO()
    picture.thumbnail((SIDE, SIDE))
    picture.save(content, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def _find_places(
    manifest: Manifest, baseline: str, records: dict[str, Record], arrays: Arrays, finder: _Finder
) -> tuple[list[_Place], list[str]]:
    """Every row and task with the first seed that can be compared; why there is none, once per row and task."""
    runs = {(run.label, run.task, run.seed): records.get(run.key) for run in manifest.runs if not run.draw}
    seeds = sorted({seed for _, _, seed in runs})
    places, reasons = [], []
    for t, task in enumerate(manifest.tasks):
        for k, label in enumerate(manifest.labels):
            pairs = [(s, runs.get((label, task, s)), runs.get((baseline, task, s))) for s in seeds]
            if label == baseline or not any(mine and base for _, mine, base in pairs):
                continue
            why = ""
            for seed, mine, base in pairs:
                found = _compare(k, t, seed, mine, base, arrays, finder) if mine and base else ""
                if isinstance(found, _Place):
                    places.append(found)
                    break
                why = why or found
            else:
                reasons.append(why)
    return places, reasons


def _compare(
    label: int, task: int, seed: int, mine: Record, base: Record, arrays: Arrays, finder: _Finder
) -> _Place | str:
    if mine.objective != "classification":
        return "Labels are no classes here, so no picture is right or wrong."
    called, before = arrays.called(mine), arrays.called(base)
    if called is None or before is None:
        return (
            "Which picture is called what needs the outputs of the runs, which lie beside the records of a store "
            "(dalib export leaves them out, and runs that failed or that reject rows have none)."
        )
    sides = []
    for record, (y, answers) in ((mine, called), (base, before)):
        tests = finder.tests(record.spec)
        if isinstance(tests, str):
            return tests
        labels, rows, names = tests
        if not np.array_equal(labels, y):
            return "The labels kept with the runs are not those of the data in this order, so no picture can be named."
        sides.append((y, answers, rows, names))
    (y, answers, rows, names), (_, theirs, their_rows, their_names) = sides
    both, i, j = np.intersect1d(rows, their_rows, return_indices=True)
    if names != their_names or base.spec.target != mine.spec.target or not len(both):
        return "The row and the baseline were tested on different pictures, or know other classes."
    return _Place(label, task, seed, mine.spec, y[i], theirs[j], answers[i], both, names)


def _sort_kinds(places: list[_Place]) -> None:
    for task in {place.task for place in places}:
        here = [place for place in places if place.task == task]
        votes: dict[tuple[str, int], int] = {}
        for place in here:
            right, was = place.mine == place.y, place.base == place.y
            masks = dict(zip(KINDS, (right & ~was, was & ~right, ~was & ~right), strict=True))
            place.kinds = {kind: np.flatnonzero(mask) for kind, mask in masks.items()}
            for kind, found in place.kinds.items():
                for row in place.rows[found].tolist():
                    votes[kind, row] = votes.get((kind, row), 0) + 1
        for place in here:
            for kind, found in place.kinds.items():
                place.kinds[kind] = np.array(_vary(found.tolist(), place, kind, votes), int)


def _vary(found: list[int], place: _Place, kind: str, votes: dict[tuple[str, int], int]) -> list[int]:
    """One of each class in turn, so that the first are not all of one; in a class what most rows of the task share."""
    order = sorted(found, key=lambda i: (-votes[kind, int(place.rows[i])], int(place.rows[i])))
    turn: dict[int, int] = {}
    turns = []
    for i in order:
        turns.append(turn.get(int(place.y[i]), 0))
        turn[int(place.y[i])] = turns[-1] + 1
    return [i for _, i in sorted(zip(turns, order, strict=True), key=lambda pair: pair[0])]


def _fill(places: list[_Place], finder: _Finder, most: int, most_bytes: int) -> dict[tuple[Any, ...], str]:
    """(data, domain, row) -> picture: one more for every row, task and kind in turn, until `most` are there.

    A picture that another row has brought costs nothing, so `places` share theirs.
    """
    pool: dict[tuple[Any, ...], str] = {}
    broken: set[tuple[Any, ...]] = set()
    size = 0
    for depth in range(1, EACH + 1):
        for place in places:
            for found in place.kinds.values():
                shown = sum(int(i) in place.shown for i in found)
                for i in found.tolist():
                    if shown >= depth:
                        break
                    key = place.spec.data, place.spec.target, int(place.rows[i])
                    if i in place.shown or key in broken:
                        continue
                    if key not in pool:
                        picture = finder.thumbnail(place.spec, key[2]) if len(pool) < most else None
                        if len(pool) >= most or (picture and size + len(picture) > most_bytes):
                            continue
                        if picture is None:
                            broken.add(key)
                            continue
                        pool[key] = picture
                        size += len(picture)
                    place.shown.add(i)
                    shown += 1
    return pool


def _tell(place: _Place, pool: dict[tuple[Any, ...], str]) -> dict[str, Any]:
    number = {key: n for n, key in enumerate(pool)}

    def name(k: int) -> str:
        return place.names[min(k, len(place.names) - 1)]

    pictures = []
    for k, kind in enumerate(KINDS):
        for i in place.kinds[kind].tolist():
            if i in place.shown:
                n = number[place.spec.data, place.spec.target, int(place.rows[i])]
                pictures.append([k, n, name(place.y[i]), name(place.base[i]), name(place.mine[i])])
    counts = [len(place.kinds[kind]) for kind in KINDS]
    return {
        "row": place.label,
        "task": place.task,
        "seed": place.seed,
        "n": len(place.y),
        "counts": counts,
        "pictures": pictures,
    }
