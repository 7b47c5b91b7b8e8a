"""Which evaluated point counts of every run of a suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dalib.records.manifest import Manifest
from dalib.records.record import Candidate, Record
from dalib.report.scale import Scale
from dalib.report.select import rules, select

Runs = dict[int, list[Record | None]]
"""seed -> a record per draw of the search, None where it is missing."""


@dataclass(frozen=True)
class Point:
    """The candidate that counts, and the record it is of."""

    record: Record
    candidate: Candidate


def group_runs(manifest: Manifest, records: Mapping[str, Record]) -> dict[str, dict[str, Runs]]:
    """label -> task -> `Runs`, in the suite's order; every label has every task."""
    known, grouped = manifest.tasks, dict[str, dict[str, Runs]]()
    for run in sorted(manifest.runs, key=lambda run: run.draw):
        tasks = grouped.setdefault(run.label, {task: {} for task in known})
        tasks[run.task].setdefault(run.seed, []).append(records.get(run.key))
    return {label: grouped[label] for label in manifest.labels}


def choose_point(
    draws: list[Record | None], rule: str, scale: Scale, known: tuple[str, ...] | None = None
) -> Point | str:
    """The point of one row, task and seed, or why there is none: `missing`, `failed` or `unavailable`."""
    wanted = draws[:1] if rule == "last" else draws
    there = [record for record in wanted if record]
    if len(there) < len(wanted):
        return "missing"
    if all(record.status != "ok" for record in there):
        return "failed"
    candidate = select(there, rule, rules(there) if known is None else known, scale)
    if candidate is None:
        return "unavailable"
    return Point(next(r for r in there if any(c is candidate for c in r.candidates)), candidate)
