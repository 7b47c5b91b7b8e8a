"""An in-memory source of real records."""

from __future__ import annotations

from typing import Any

from dalib.core.errors import DalibError
from dalib.records.manifest import Cell, Manifest
from dalib.records.record import Candidate, Failure, Record
from dalib.records.spec import BackboneSpec, DataSpec, ProtocolSpec, RunSpec

FAILED, MISSING = "failed", "missing"


class Shelf:
    """`put(label, task, values)`: one value in [0, 1] per seed, or FAILED, or MISSING."""

    def __init__(self, **manifest: Any) -> None:
        given = {"name": "toy", "title": "Toy suite", "dataset": "office31", "baseline": "source_only"} | manifest
        given.setdefault("counts", {"amazon": 1000, "webcam": 795})
        self.toy = Manifest(**given)
        self.records: dict[str, Record] = {}

    def manifest(self, name: str) -> Manifest:
        if name != self.toy.name:
            raise DalibError(f"no suite named '{name}'")
        return self.toy

    def get(self, key: str) -> Record:
        return self.records[key]

    def __contains__(self, key: str) -> bool:
        return key in self.records

    def put(self, label: str, task: str, values: list[Any], algorithm: str = "", **spec: Any) -> Shelf:
        source, _, target = task.partition("->")
        for seed, value in enumerate(values):
            run = RunSpec(
                data=spec.get("data", DataSpec(dataset="office31")),
                source=source,
                target=target,
                algorithm=algorithm or label,
                hparams={"label": label},
                backbone=spec.get("backbone", BackboneSpec(name="mobilenet_v2", weights="imagenet", frozen=True)),
                protocol=ProtocolSpec(name=spec.get("protocol", "uda")),
                seed=seed,
            )
            self.toy.runs.append(Cell(label=label, task=task, seed=seed, key=run.key))
            if value == FAILED:
                error = Failure(type="Diverged", message="loss term 'mmd' became nan at step 7")
                self.records[run.key] = Record(key=run.key, spec=run, status="failed", error=error)
            elif value != MISSING:
                self.records[run.key] = Record(key=run.key, spec=run, status="ok", candidates=points(value))
        return self


def points(*last: float) -> list[Candidate]:
    """Candidates at steps 10, 20, …; each value is the target accuracy there."""
    return [
        Candidate(step=10 * (i + 1), metrics={"target_accuracy": v, "source_accuracy": 0.9}, scores={"entropy": -v})
        for i, v in enumerate(last)
    ]


def toy_shelf() -> Shelf:
    """Two tasks, two seeds; averages: source_only 51, mmd 61.5, dann 48.5, supervised 95."""
    found = Shelf()
    for label, first, second in (
        ("source_only", [0.60, 0.62], [0.40, 0.42]),
        ("mmd", [0.70, 0.74], [0.50, 0.52]),
        ("dann", [0.55, 0.57], [0.40, 0.42]),
    ):
        found.put(label, "amazon->webcam", first).put(label, "webcam->amazon", second)
    for task in ("amazon->webcam", "webcam->amazon"):
        found.put("target_labels", task, [0.95, 0.95], algorithm="source_only", protocol="supervised")
    return found
