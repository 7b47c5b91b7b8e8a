"""Which committed records are run again: read from the archives, drawn by strata, told by row and not by key."""

from __future__ import annotations

import gzip
import importlib
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dalib

KEPT = ("status", "error", "candidates", "curve", "per_class", "counts")
UNRECORDED = "unrecorded"
SHORT = {"mini_office_finetune": 30, "office31_subset_finetune": 12}
"""Suites whose source-only row lends its spec to algorithms without a record, and the steps it is cut to."""


@dataclass(frozen=True)
class Drawn:
    """A run to repeat. seconds: the committed run's; result: what it left, None for an algorithm without a record."""

    name: str
    suite: str
    spec: dict[str, Any]
    seconds: float
    result: dict[str, Any] | None

    @property
    def algorithm(self) -> str:
        return str(self.spec["algorithm"])


def first_of(*places: str) -> Any:
    """The first of `module:name` that this version of the package has; modules of another checkout do not count."""
    here = Path(dalib.__file__).parent
    for place in places:
        name, _, attribute = place.partition(":")
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        if hasattr(module, attribute) and here in Path(str(module.__file__)).parents:
            return getattr(module, attribute)
    raise SystemExit(f"none of {', '.join(places)} is there; add where it is now to benchmarks/{Path(__file__).name}")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file, compressed or not; a last line that was cut off is left out."""
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    return [json.loads(line) for line in text.split("\n")[:-1] if not line.startswith('{"crc32": "')]


def read_records(folder: Path) -> list[Drawn]:
    """Every committed run, in an order that does not depend on keys."""
    runs = []
    for path in sorted(folder.glob("*.jsonl*")):
        manifest, *records = read_lines(path)
        by_key = {record["key"]: record for record in records}
        for cell in manifest["runs"]:
            record = by_key.get(cell["key"])
            if record is None:
                continue
            place = (cell["label"], cell["task"], f"seed {cell['seed']}", f"draw {cell.get('draw', 0)}")
            name = " | ".join((manifest["name"], *place))
            result = {part: record.get(part) for part in KEPT}
            runs.append(Drawn(name, manifest["name"], record["spec"], record["seconds"].get("total", 0.0), result))
    return sorted(runs, key=lambda run: run.name)


def draw_runs(runs: list[Drawn], number: int, most_seconds: float, budget: float, seed: int) -> list[Drawn]:
    """One record of every suite, a failure of every suite that has any, one of every algorithm, the rest at random.

    Args
        most_seconds: a longer record is drawn only where its suite or algorithm has no shorter one, then the shortest
        budget: the rest at random ends where the committed seconds of all drawn exceed it
    """
    rng = random.Random(seed)
    chosen: dict[str, Drawn] = {}

    def one(pool: list[Drawn]) -> None:
        short = [run for run in pool if run.seconds <= most_seconds]
        pick = rng.choice(short) if short else min(pool, key=lambda run: (run.seconds, run.name))
        chosen[pick.name] = pick

    for suite in sorted({run.suite for run in runs}):
        one([run for run in runs if run.suite == suite])
    for suite in sorted({run.suite for run in runs if run.result and run.result["status"] == "failed"}):
        one([run for run in runs if run.suite == suite and run.result and run.result["status"] == "failed"])
    for algorithm in sorted({run.algorithm for run in runs} - {run.algorithm for run in chosen.values()}):
        one([run for run in runs if run.algorithm == algorithm])
    rest = [run for run in runs if run.name not in chosen and run.seconds <= most_seconds]
    rng.shuffle(rest)
    for run in rest:
        if len(chosen) >= number or sum(r.seconds for r in chosen.values()) + run.seconds > budget:
            break
        chosen[run.name] = run
    return list(chosen.values())


def unrecorded_runs(runs: list[Drawn]) -> list[Drawn]:
    """A short run of every algorithm of the package that no record has."""
    algorithms = first_of("dalib.core.registry:ALGORITHMS")
    made = []
    for name in sorted(set(algorithms.names()) - {part for run in runs for part in run.algorithm.split("+")}):
        cls = algorithms.get(name)
        suite = "office31_subset_finetune" if cls.needs_head else "mini_office_finetune"
        like = next(run for run in runs if run.suite == suite and run.algorithm == "source_only")
        train = {**like.spec.get("train", {}), "steps": SHORT[suite]}
        own = {"algorithm": name, "algorithm_version": cls.version, "hparams": cls.create(name, {}).hparams}
        made.append(Drawn(f"{UNRECORDED} | {name}", UNRECORDED, {**like.spec, **own, "train": train}, 0.0, None))
    return made
