"""Records of stores that share no disk, brought into one: joined by key, what differs named and refused."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dalib.core.errors import DalibError
from dalib.core.places import is_url, open_place
from dalib.records.collection import Collection, StoreFolder, open_collection
from dalib.records.formulas import PLACE
from dalib.records.locks import is_held
from dalib.records.manifest import Cell, Manifest
from dalib.records.record import Candidate, Record
from dalib.records.store import Store

SHOWN = 3
"""Of the conflicts, that are named one by one in an error."""


@dataclass
class Merge:
    """What became of the records.

    added: keys that were not there; improved: a success in the place of a failure, or more scores or predictions
    same: were there already; busy: a process is at this run, so nothing was written
    conflicts: a sentence each
    """

    added: int = 0
    improved: int = 0
    same: int = 0
    busy: int = 0
    conflicts: list[str] = field(default_factory=list)


def merge_records(sources: Sequence[str | Path], into: str | Path, *, keep_first: bool = False) -> Merge:
    """Bring the records, predictions and manifests of other stores and archives into one store.

    A run that is in several places counts once where its numbers are the same; a success replaces a failure. Scores
    and predictions that one of them lacks are added. Nothing is written unless everything fits.

    Args
        sources: folders or URLs of stores, and files that `dalib export` wrote
        into: folder or URL of the store; it is made where there is none
        keep_first: of runs whose numbers differ, keep those of `into`, then of the first source
    Raises
        DalibError: nothing there, numbers that differ under one key, a suite that differs under one name
    """
    where = str(Path(into).resolve()) if not is_url(into) else str(into)
    for source in sources:
        if not is_url(source) and str(Path(source).resolve()) == where:
            raise DalibError(f"{source} is merged into itself; give other stores")
    given, home = [open_collection(source) for source in sources], StoreFolder(open_place(where))
    result, places = Merge(), [home, *given]
    holders = _find_holders(places)
    for key, at in holders.items():
        if len(at) > 1:
            result.conflicts += _fold(key, [places[i] for i in at])[1]
    manifests, clashes = _join_manifests(places)
    result.conflicts += clashes
    if result.conflicts and not keep_first:
        more = f" and {len(result.conflicts) - SHOWN} more" if len(result.conflicts) > SHOWN else ""
        raise DalibError(
            f"{len(result.conflicts)} conflicts, so nothing was written: {'; '.join(result.conflicts[:SHOWN])}{more}; "
            f"find out which is right, or keep those of the first place with --keep-first (keep_first=True)"
        )
    store = None if is_url(into) else Store(where)
    for key, at in holders.items():
        if at == [0]:
            result.same += 1
        elif store is not None and is_held(store.lock(key)):
            result.busy += 1
        else:
            _bring(key, [places[i] for i in at], home, result)
    for manifest in manifests:
        home.write_manifest(manifest)
    return result


def join(mine: Record, theirs: Record) -> Record | None:
    """Two records of one run as one; None where their numbers differ.

    A success stands in the place of a failure, and of two failures the first.
    """
    if mine.status != "ok" or theirs.status != "ok":
        return theirs if mine.status != "ok" and theirs.status == "ok" else mine
    if [c.step for c in mine.candidates] != [c.step for c in theirs.candidates] or mine.objective != theirs.objective:
        return None
    joined = []
    for a, b in zip(mine.candidates, theirs.candidates, strict=True):
        if not _agree(a.metrics, b.metrics) or not _agree(a.scores, b.scores):
            return None
        metrics, scores = {**b.metrics, **a.metrics}, {**b.scores, **a.scores}
        joined.append(Candidate(step=a.step, metrics=metrics, scores=scores, expected=a.expected or b.expected))
    if any(not _agree(mine.per_class[c], theirs.per_class[c]) for c in mine.per_class.keys() & theirs.per_class):
        return None
    same = all(a.metrics.keys() == c.metrics.keys() and a.scores.keys() == c.scores.keys() and a.expected == c.expected
               for a, c in zip(mine.candidates, joined, strict=True))  # fmt: skip
    formulas = theirs.provenance.get(PLACE, {}) | mine.provenance.get(PLACE, {})
    told = mine.provenance | ({PLACE: formulas} if formulas else {})
    return mine if same else mine.model_copy(update={"candidates": joined, "provenance": told})


def _agree(a: Mapping[str, float], b: Mapping[str, float]) -> bool:
    """What both have is the same, to the bit; two that are no numbers are."""
    return all(a[name] == b[name] or (math.isnan(a[name]) and math.isnan(b[name])) for name in a.keys() & b.keys())


def _find_holders(places: Sequence[Collection]) -> dict[str, list[int]]:
    """key -> which places have it, in their order."""
    holders: dict[str, list[int]] = {}
    for number, place in enumerate(places):
        for key in place.list_keys():
            holders.setdefault(key, []).append(number)
    return dict(sorted(holders.items()))


def _fold(key: str, at: Sequence[Collection]) -> tuple[Record | None, list[str], Collection | None]:
    """(the record of all of them, their conflicts, where its predictions are)."""
    record: Record | None = None
    first, conflicts = "", []
    arrays: Collection | None = None
    for place in at:
        other = place.read(key)
        joined = other if record is None or other is None else join(record, other)
        if other is None:
            continue
        if record is not None and joined is None:
            conflicts.append(_tell(record, other, first, place.where))
        elif record is None or (joined is other and record.status != "ok"):
            record, first, arrays = other, place.where, place if other.predictions else None
        else:
            if arrays is None and other.predictions and other.status == "ok":
                arrays = place
            record = joined
    return record, conflicts, arrays


def _bring(key: str, at: Sequence[Collection], home: StoreFolder, result: Merge) -> None:
    """Write what the places have of a run, if that is more than `home` has."""
    record, _, where = _fold(key, at)
    if record is None:
        return
    before = home.read(key) if at[0] is home else None
    arrays = where.arrays(key) if where is not None else None
    if before is not None and _same(record, before) and (before.predictions or arrays is None):
        result.same += 1
        return
    home.write(record, arrays)
    result.added += before is None
    result.improved += before is not None


def _same(a: Record, b: Record) -> bool:
    return a.model_dump_json(exclude={"predictions"}) == b.model_dump_json(exclude={"predictions"})


def _tell(a: Record, b: Record, first: str, second: str) -> str:
    """`dann amazon->webcam seed 0 (1f2e…): 0.7000 in A, 0.7100 in B`."""
    ends = [r.candidates[-1].metrics if r.candidates else {} for r in (a, b)]
    name = next((n for n in ends[0] if n in ends[1] and ends[0][n] != ends[1][n]), "")
    told = f"{name} {ends[0][name]!r} in {first}, {ends[1][name]!r} in {second}" if name else ""
    told = told or f"points or scores differ between {first} and {second}"
    return f"{a.spec.algorithm} {a.spec.task} seed {a.spec.seed} ({a.key[:12]}): {told}"


def _join_manifests(places: Sequence[Collection]) -> tuple[list[Manifest], list[str]]:
    """(suites to write, conflicts); the runs of one suite from several places add up."""
    known: dict[str, tuple[Manifest, str]] = {}
    conflicts = []
    for place in places:
        for manifest in place.manifests():
            if manifest.name not in known:
                known[manifest.name] = (manifest, place.where)
                continue
            before, where = known[manifest.name]
            if told := _differ(before, manifest):
                conflicts.append(f"suite {manifest.name}: {told} in {where} and {place.where}")
            else:
                there = _by_place(before.runs)
                runs = [*before.runs, *(cell for cell in manifest.runs if _place_of(cell) not in there)]
                counts = {**manifest.counts, **before.counts}
                known[manifest.name] = (before.model_copy(update={"runs": runs, "counts": counts}), where)
    return [manifest for manifest, _ in known.values()], conflicts


def _differ(a: Manifest, b: Manifest) -> str:
    """In what two manifests of one name cannot be one suite; empty if they can."""
    for name in ("dataset", "metric", "baseline", "sweep"):
        if getattr(a, name) != getattr(b, name):
            return f"{name} is {getattr(a, name)!r} and {getattr(b, name)!r}"
    if any(a.counts[domain] != n for domain, n in b.counts.items() if domain in a.counts):
        return "the data have other numbers of rows"
    keys = _by_place(a.runs)
    for place, key in _by_place(b.runs).items():
        if keys.get(place, key) != key:
            label, task, seed = place[:3]
            return f"row {label}, task {task}, seed {seed} has other settings or data"
    return ""


def _place_of(cell: Cell) -> tuple[str, str, int, int, float]:
    return (cell.label, cell.task, cell.seed, cell.draw, cell.at)


def _by_place(runs: Iterable[Cell]) -> dict[tuple[str, str, int, int, float], str]:
    return {_place_of(cell): cell.key for cell in runs}
