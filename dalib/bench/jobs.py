"""How the runs of a suite are done, and what an executor is handed of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from dalib.assemble import RunContext
from dalib.bench.execution import Executor
from dalib.bench.fleet import RUN_ONE, FleetMode
from dalib.bench.plan import PlannedRun
from dalib.bench.progress import Progress
from dalib.bench.schedule import assign_devices
from dalib.bench.suite import Suite
from dalib.bench.work import Job
from dalib.core.errors import DalibError, unknown
from dalib.core.registry import ALGORITHMS, VALIDATORS
from dalib.records.store import Store

Redo = Literal["never", "failed", "all"]
RUN_SHARED = "dalib.bench.shared:run_shared"


@dataclass(frozen=True)
class RunOptions:
    """How the runs of a suite are done; see `run_suite`. Nothing here is in a key."""

    root: str | Path | None = None
    redo: Redo = "never"
    device: str = "auto"
    dry_run: bool = False
    plugins: tuple[str | Path, ...] = ()
    progress: Progress | None = None
    run: str = "dalib.bench.run:run_one"
    fleet: FleetMode = "auto"
    executor: Executor = field(default_factory=lambda: Executor("inline", 1))
    detach: bool = False
    track: tuple[str, ...] = ()

    @property
    def jobs(self) -> int:
        return self.executor.jobs

    def __post_init__(self) -> None:
        if self.redo not in ("never", "failed", "all"):
            raise DalibError(f"redo = {self.redo!r} is not one of never, failed, all")
        if self.fleet not in ("auto", "on", "off"):
            raise DalibError(f"fleet = {self.fleet!r} is not one of auto, on, off")
        if self.track:
            from dalib.train.tracking import make_tracker

            for tracker in self.track:
                make_tracker(tracker)


def _shared(suite: Suite, run: PlannedRun, where: RunContext, what: str) -> tuple[RunContext, str]:
    """Where a run happens and what does it: several processes if its row asks for `devices`.

    Raises
        DalibError: they cannot share it; its record would be that of a run which one process can do
    """
    processes = suite.algorithms[run.label].devices
    if processes == 1:
        return where, what
    from dalib.train.ranks import Ranks

    try:
        algorithm = ALGORITHMS.get(run.spec.algorithm).create(run.spec.algorithm, dict(run.spec.hparams))
        Ranks(0, processes).check(algorithm, run.spec.train)
    except DalibError as error:
        raise DalibError(f"suite {suite.name}: row {run.label}: devices = {processes}: {error}") from None
    return replace(where, processes=processes), RUN_SHARED if what == RUN_ONE else what


def make_jobs(
    todo: Sequence[PlannedRun],
    stamps: Mapping[str, int],
    kept: Store,
    how: RunOptions,
    judges: tuple[str, ...] | None,
    suite: Suite,
) -> list[Job]:
    """The runs as what an executor is handed: each with its place, its device and what the store had of it.

    Args
        stamps: of every run's record before the store was looked at
        judges: the validators that score; None: all
    """
    root = how.root or suite.root
    place = str(Path(root).resolve()) if root else None
    loaded = tuple(str(Path(p).resolve()) for p in how.plugins)
    devices = [how.device] * len(todo) if how.executor.elsewhere else assign_devices(how.device, len(todo))
    jobs = []
    for r, on in zip(todo, devices, strict=True):
        checkpoint = str(kept.checkpoint(r.key))
        where = RunContext(place, on, how.executor.threads, checkpoint, loaded, suite.keep_features, judges)
        where = replace(where, track=how.track, label=r.label, group=suite.name) if how.track else where
        where, run = _shared(suite, r, where, how.run)
        jobs.append(Job(r.key, r.label, r.spec, where, kept.root, run, stamps[r.key]))
    return jobs


def pick_judges(suite: Suite) -> tuple[str, ...] | None:
    """Names of the validators that score; None = all. Raises DalibError for a name that is not registered."""
    if isinstance(suite.validators, str):
        return None
    for name in suite.validators:
        if name not in VALIDATORS.names():
            raise unknown("validator", name, VALIDATORS.names(), f"suite {suite.name}")
    return tuple(suite.validators)
