"""How far a suite is, wherever its runs happen: read from its store alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from dalib.bench.progress import clock
from dalib.bench.suite import Suite, find_suite_name
from dalib.core.files import folder_time
from dalib.core.registry import EXECUTORS
from dalib.records.locks import Owner, is_held, read_owner
from dalib.records.manifest import Cell
from dalib.records.store import Store


@dataclass(frozen=True)
class Running:
    """A run under way; seconds: since its owner has it."""

    cell: Cell
    owner: Owner
    seconds: float


@dataclass(frozen=True)
class Status:
    """done: runs with a record of a success; queued: with an engine, and not begun; eta: seconds, None if unknown."""

    name: str
    total: int
    done: int
    failed: list[tuple[Cell, str]] = field(default_factory=list)
    running: list[Running] = field(default_factory=list)
    queued: int = 0
    eta: float | None = None

    @property
    def missing(self) -> int:
        """Runs of which there is nothing yet, nowhere."""
        return self.total - self.done - len(self.failed) - len(self.running) - self.queued

    def lines(self) -> Iterator[str]:
        """For a terminal."""
        parts = [f"{self.done} of {self.total} runs done", f"{len(self.failed)} failed", f"{len(self.running)} running"]
        parts += [f"{self.queued} queued", f"{self.missing} not begun"]
        yield f"{self.name}: {', '.join(parts)}; eta {clock(self.eta)}"
        for run in self.running:
            yield f"running  {_name(run.cell)}  {run.owner.describe()} ({clock(run.seconds)})"
        for cell, message in self.failed:
            yield f"failed   {_name(cell)}  {message}"


def suite_status(suite: Suite | str | Path, store: str | Path = "results/runs") -> Status:
    """What is done, running (where, since when), queued, failed and missing of a suite.

    Args
        suite: its file, its name, or the suite itself
        store: folder of the records
    Raises
        DalibError: it was never run in this store
    """
    name, kept = suite.name if isinstance(suite, Suite) else find_suite_name(str(suite)), Store(store)
    cells = {cell.key: cell for cell in kept.manifest(name).runs}
    done, seconds, failed, running = 0, [], [], []
    held = {path.name for path in (kept.root / "locks").glob("[0-9a-f]*")} & cells.keys()
    for key in sorted(held):
        owner = read_owner(kept.lock(key))
        if owner is not None and is_held(kept.lock(key)):
            running.append(Running(cells[key], owner, max(0.0, _now(kept.root / "locks") - owner.since)))
    busy = {run.cell.key for run in running}
    for record in kept.records(key for key in cells if key not in busy):
        if record.status == "ok":
            done += 1
            seconds.append(record.seconds.get("total", 0.0))
        else:
            error = record.error
            failed.append((cells[record.key], f"{error.type}: {error.message}" if error else "no reason given"))
    recorded = done + len(failed)
    queued = sum(key in cells and key not in busy and key not in kept for key in _queued(kept.root))
    left = len(cells) - recorded - sum(0.5 for _ in running)
    eta = left * fmean(seconds) / len(running) if running and seconds else 0.0 if recorded == len(cells) else None
    return Status(name, len(cells), done, failed, running, queued, eta)


def _now(folder: Path) -> float:
    """By the file server's clock; by this machine's where nothing may be written."""
    try:
        return folder_time(folder)
    except OSError:
        return time.time()


def _queued(root: Path) -> set[str]:
    """Keys of the runs of this store that wait in an engine's queue."""
    found: set[str] = set()
    for name in EXECUTORS.names():
        listing = getattr(sys.modules[EXECUTORS.get(name).__module__], "list_queued", None)
        found |= listing(root) if listing else set()
    return found


def _name(cell: Cell) -> str:
    return f"{cell.label} {cell.task} seed {cell.seed}"
