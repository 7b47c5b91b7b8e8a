"""Archives of several people as one read-only source: runs joined by key, rows told apart, conflicts named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from dalib.core.errors import DalibError
from dalib.records.archive import Archive
from dalib.records.manifest import Cell, Manifest
from dalib.records.record import Record

Place = tuple[str, str, int, int, float]
"""Label, task, seed, draw and value of a sweep: one run of a table."""
SHOWN = 3
"""Of the conflicts, that are named one by one."""


class Merged:
    """Read-only: `in`, `get` and `manifest` of several files that `export` wrote, of one data set.

    A run that is in several files counts once: a success before a failure, and of two successes that of the first file;
    `conflicts` names those whose numbers differ. A row whose settings, or versions of them, differ from those of the
    same label in an earlier file is called `label (file)`.

    Args
        paths: of the archives; the first says the title, the baseline and the order
        metric: what is shown; needed where the files show different ones

    Attributes
        conflicts: a sentence each
    Raises
        DalibError: a file that cannot be read, other data, another metric
    """

    def __init__(self, paths: Sequence[str | Path], metric: str = "") -> None:
        self.archives = [Archive(path) for path in paths]
        self.names = _short_names([archive.path for archive in self.archives])
        manifests = [archive.manifest() for archive in self.archives]
        self._refuse_others(manifests, metric)
        self.conflicts: list[str] = []
        self._records: dict[str, Record] = {}
        self._runs: list[Cell] = []
        settings: dict[tuple[str, int], set[str]] = {}
        cells: dict[Place, tuple[Cell, str]] = {}
        for archive, name, manifest in zip(self.archives, self.names, manifests, strict=True):
            labels = self._tell_apart(archive, name, manifest, settings, cells)
            for cell in manifest.runs:
                label = labels[cell.label]
                place = _place_of(label, cell)
                if place not in cells:
                    cells[place] = (cell.model_copy(update={"label": label}), name)
                if cell.key in archive:
                    self._take(archive.get(cell.key), f"{label} {cell.task} seed {cell.seed}", name, cells[place][1])
        self._runs = [cell for cell, _ in cells.values()]
        first = manifests[0]
        counts = {domain: n for m in manifests for domain, n in m.counts.items()}
        notes = [first.note, *(m.note for m in manifests[1:] if m.note != first.note), self._describe()]
        self._manifest = first.model_copy(
            update={
                "name": "+".join(dict.fromkeys(m.name for m in manifests)),
                "title": " and ".join(dict.fromkeys(m.title or m.name for m in manifests)),
                "metric": metric or first.metric,
                "partial": any(m.partial for m in manifests),
                "counts": counts,
                "note": "; ".join(filter(None, notes)),
                "runs": self._runs,
            }
        )

    def manifest(self, name: str = "") -> Manifest:
        return self._manifest

    def get(self, key: str) -> Record:
        return self._records[key]

    def __contains__(self, key: str) -> bool:
        return key in self._records

    def _refuse_others(self, manifests: Sequence[Manifest], metric: str) -> None:
        """DalibError for files that have no place in one table."""
        first, start = manifests[0], self.names[0]
        for other, name in zip(manifests[1:], self.names[1:], strict=True):
            if other.dataset != first.dataset:
                raise DalibError(
                    f"{start} is of {first.dataset} and {name} of {other.dataset}; one table holds one data set"
                )
            for domain, n in other.counts.items():
                if first.counts.get(domain, n) != n:
                    raise DalibError(
                        f"{domain} of {first.dataset} has {first.counts[domain]} rows in {start} and {n} in {name}: "
                        "other data, so their numbers do not compare; make one table of each"
                    )
            if other.metric != first.metric and not metric:
                raise DalibError(
                    f"{start} shows {first.metric} and {name} {other.metric}; say which one, --metric M (metric=…)"
                )
            if other.sweep != first.sweep:
                raise DalibError(f"{start} sweeps {first.sweep or 'nothing'} and {name} {other.sweep or 'nothing'}")
        prints: dict[str, tuple[str, str]] = {}
        for archive, name in zip(self.archives, self.names, strict=True):
            for record in archive.records():
                known = record.spec.data.fingerprint.partition("+")[0]  # behind it an unlabelled target of its own
                before = prints.setdefault(record.spec.data.dataset.partition(":")[0], (known, name))
                if known and before[0] and before[0] != known:
                    raise DalibError(
                        f"the rows of {first.dataset} differ in content between {before[1]} and {name}, so their "
                        "numbers do not compare; make one table of each"
                    )

    def _tell_apart(
        self, archive: Archive, name: str, manifest: Manifest, settings: dict[tuple[str, int], set[str]],
        cells: dict[Place, tuple[Cell, str]],
    ) -> dict[str, str]:  # fmt: skip
        """label -> what its row is called here: the same where its settings are, and its runs of the same place."""
        own: dict[tuple[str, int], set[str]] = {}
        others = set()
        for cell in manifest.runs:
            if cell.key in archive:
                own.setdefault((cell.label, cell.draw), set()).add(_settings_of(archive.get(cell.key)))
                there = cells.get(_place_of(cell.label, cell))
                others |= {cell.label} if there and there[0].key != cell.key else set()
        names = {}
        for label in manifest.labels:
            differs = label in others or any(
                settings[k] != kinds for k, kinds in own.items() if k[0] == label and k in settings
            )
            names[label] = f"{label} ({name})" if differs else label
        for (label, draw), kinds in own.items():
            settings.setdefault((names[label], draw), set()).update(kinds)
        return names

    def _take(self, record: Record, what: str, name: str, first: str) -> None:
        """Keep a record, or name why it is not kept."""
        there = self._records.get(record.key)
        if there is None or (there.status != "ok" and record.status == "ok"):
            self._records[record.key] = record
        elif record.status == "ok" and name != first:
            metric = "target_accuracy"
            a, b = ([c.metrics for c in r.candidates] for r in (there, record))
            if a != b:
                last = [f"{m[-1].get(metric, float('nan')):.4f}" if m else "nothing" for m in (a, b)]
                self.conflicts.append(f"{what}: {last[0]} in {first}, {last[1]} in {name}")

    def _describe(self) -> str:
        """Which files, and how many runs they do not agree on."""
        told = f"from {' and '.join(self.names)}"
        if self.conflicts:
            n = len(self.conflicts)
            told += f", of which {n} run{'s' if n > 1 else ''} in several with other numbers: those of the first count"
        return told


def _place_of(label: str, cell: Cell) -> Place:
    return (label, cell.task, cell.seed, cell.draw, cell.at)


def _settings_of(record: Record) -> str:
    """What a run is, but for its task, its seed and its data.

    A recipe's or a protocol's version is in the key alone: one of before is told by another key than it has today.
    """
    content = record.spec.content()
    for name in ("source", "target", "seed", "data"):
        content.pop(name, None)
    content.get("hparams", {}).pop("answers", None)  # of what was trained elsewhere: they are the run itself
    return json.dumps([content, record.key == record.spec.key], sort_keys=True)


def _short_names(paths: Sequence[Path]) -> list[str]:
    """File names, with as many folders before them as tell them apart.

    Raises
        DalibError: one file twice
    """
    parts = [path.resolve().parts for path in paths]
    for i, path in enumerate(parts):
        if path in parts[:i]:
            raise DalibError(f"{paths[i]} is given twice; give each archive once")
    depth = 1
    while len({p[-depth:] for p in parts}) < len(parts):
        depth += 1
    return ["/".join(p[-depth:]).removesuffix(".gz").removesuffix(".jsonl") for p in parts]
