"""Versions of the validators and metrics that a record's numbers come of: kept beside them, in no key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from dalib.core.registry import METRICS, VALIDATORS
from dalib.records.record import Record

KINDS: dict[str, Any] = {"validator": VALIDATORS, "metric": METRICS}
PLACE = "formulas"
"""Where in a record's provenance they are; what is not there is of version 1."""


def formulas_now() -> dict[str, int]:
    """`validator NAME` or `metric NAME` -> its version, of all that are no longer in their first."""
    every = {f"{kind} {name}": known.version(name) for kind, known in KINDS.items() for name in known.names()}
    return {name: version for name, version in every.items() if version != 1}


def find_stale(record: Record, now: dict[str, int], names: Collection[str]) -> set[str]:
    """Which of the names, `validator NAME` or `metric NAME`, had another version when the record was scored."""
    then = record.provenance.get(PLACE, {})
    return {name for name in names if then.get(name, 1) != now.get(name, 1)}


def describe_stale(records: Iterable[Record], validators: Collection[str], metric: str) -> str:
    """A sentence about numbers of a table that are of another version of their validator or metric; or nothing.

    Args
        metric: as records name it, `target_accuracy`
    """
    asked = [*(("validator", name) for name in validators), ("metric", metric.partition("_")[2])]
    names, now = [f"{kind} {name}" for kind, name in asked if name in KINDS[kind]], formulas_now()
    odd = Counter(name for record in records for name in find_stale(record, now, names))
    if not odd:
        return ""
    told = ", ".join(f"{name} (runs: {n})" for name, n in sorted(odd.items()))
    return (
        f"Of ANOTHER VERSION than today's: {told}; dalib rescore computes validators again from stored outputs, "
        "dalib run --redo all everything."
    )
