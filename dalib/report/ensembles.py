"""Rows that are computed afterwards: the mean of the probabilities of several rows of a suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dalib.core.errors import DalibError, unknown
from dalib.records.manifest import Manifest
from dalib.records.record import Record
from dalib.report.points import Point, choose_point, group_runs
from dalib.report.scale import Scale
from dalib.report.select import rules
from dalib.report.source import RecordSource

if TYPE_CHECKING:
    from dalib.scoring.mixing import Member

Ensembles = Mapping[str, Sequence[str]]
"""Name of a new row -> labels of the rows whose probabilities it is the mean of."""


def read_ensemble(text: str, labels: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """`both = dann + mcc` -> (both, (dann, mcc)); a label may hold a plus itself.

    Raises
        DalibError: no NAME=a+b, a label that the suite lacks, or words that can be read as several sets of labels
    """
    name, sign, told = text.partition("=")
    if not sign or not name.strip() or not told.strip():
        raise DalibError(f"--ensemble {text!r} is no NAME=a+b (ensembles={{'NAME': ['a', 'b']}})")
    found = _readings([part.strip() for part in told.split("+")], {"+".join(_parts(known)): known for known in labels})
    if len(found) > 1:
        ways = " or ".join(" and ".join(map(repr, way)) for way in found)
        raise DalibError(
            f"--ensemble {text!r} (ensembles=…) may mean {ways}; ensembles={{'{name.strip()}': […]}} says which"
        )
    if not found:
        missing = next((p.strip() for p in told.split("+") if p.strip() not in labels), told.strip())
        raise unknown("row", missing, labels, f"--ensemble {text} (ensembles=…)")
    return name.strip(), found[0]


def _parts(label: str) -> list[str]:
    return [part.strip() for part in label.split("+")]


def _readings(parts: Sequence[str], known: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Every way to cut the parts into labels."""
    if not parts:
        return [()]
    heads = (("+".join(parts[: n + 1]), n + 1) for n in range(len(parts)))
    return [(known[h], *rest) for h, n in heads if h in known for rest in _readings(parts[n:], known)]


def check_ensembles(source: RecordSource, manifest: Manifest, ensembles: Ensembles) -> None:
    """DalibError for rows that are not there, names that are, and records without stored outputs."""
    if not isinstance(ensembles, Mapping):
        raise DalibError(f"ensembles = {ensembles!r} is no table of names and rows; give {{'NAME': ['a', 'b']}}")
    for name, members in ensembles.items():
        told = isinstance(members, Sequence) and not isinstance(members, str)
        if not (isinstance(name, str) and name.strip() and told and all(isinstance(m, str) for m in members)):
            raise DalibError(f"ensembles = {{{name!r}: {members!r}}} is no name with rows; give {{'NAME': ['a', 'b']}}")
        if name in manifest.labels:
            raise DalibError(f"the suite has a row '{name}' already; give the ensemble another name")
        for label in members:
            if label not in manifest.labels:
                raise unknown("row", label, manifest.labels, f"ensemble {name}")
        if len(members) < 2 or len(set(members)) < len(members):
            raise DalibError(f"ensemble '{name}' of {', '.join(members)}: give two rows or more, each once")
    if ensembles and not hasattr(source, "predictions"):
        raise DalibError(
            "an ensemble needs the outputs of its rows, which a store keeps and a file of dalib export does not; give "
            "the suite and its --store (store=…)"
        )


def mix_rows(
    source: Any, manifest: Manifest, records: Mapping[str, Record], ensembles: Ensembles, rule: str, scale: Scale
) -> dict[str, dict[str, dict[int, float | str]]]:
    """name -> task -> seed -> the metric of the mean, or why there is none, as `make_cell` takes it."""
    if scale.metric.partition("_")[0] != "target":
        raise DalibError(f"an ensemble has no {scale.metric}; choose a metric of the target, --metric (metric=…)")
    from dalib.scoring.mixing import Member, mix_metrics

    grouped, known = group_runs(manifest, records), rules(records.values())
    told: dict[str, dict[str, dict[int, float | str]]] = {}
    for name, labels in ensembles.items():
        for task in manifest.tasks:
            seeds = {label: set(grouped[label][task]) for label in labels}
            if len({frozenset(s) for s in seeds.values()}) > 1:
                raise DalibError(f"ensemble '{name}': its rows have other seeds on {task}; an ensemble needs the same")
            values = told.setdefault(name, {}).setdefault(task, {})
            for seed in sorted(seeds[labels[0]]):
                points = {label: choose_point(grouped[label][task][seed], rule, scale, known) for label in labels}
                members: list[Member] = []
                for label, point in points.items():
                    if isinstance(point, Point):
                        members.append(Member(label, point.record, point.candidate))
                    else:
                        values[seed] = point
                if len(members) == len(labels):
                    values[seed] = mix_metrics(source, members).get(scale.metric, float("nan"))
    return told


def describe_ensembles(ensembles: Ensembles, rule: str) -> str:
    """The sentence of a caption."""
    rows = "; ".join(f"{name} of {' and '.join(members)}" for name, members in ensembles.items())
    at = "at the end of training" if rule == "last" else "each at the point chosen of it"
    return (
        f"Computed afterwards, from stored outputs in half precision: {rows}: the mean of their probabilities, {at}, "
        "for every task and seed by itself."
    )
