"""Run a suite: what has a record is skipped, what is missing runs, and stopping at any moment loses nothing."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from dalib.assemble import RunContext
from dalib.bench.cores import count_cores
from dalib.bench.fleet import RUN_ONE, FleetMode, Item, do_item, pack
from dalib.bench.plan import Plan, PlannedRun, plan, searched
from dalib.bench.progress import Progress, Tally, choose_progress, clock
from dalib.bench.row import Row
from dalib.bench.schedule import assign_devices, longest_first
from dalib.bench.search import Draw, propose
from dalib.bench.suite import Suite, find_suite, load_suite, pick_labels
from dalib.bench.work import Job, Result, record_death, summarise
from dalib.core.errors import DalibError, unknown
from dalib.core.places import refuse_url
from dalib.core.registry import EXECUTORS, VALIDATORS, load_plugin
from dalib.core.text import say, show_control
from dalib.records.locks import is_held, read_owner
from dalib.records.store import Store

Redo = Literal["never", "failed", "all"]
RUN_SHARED = "dalib.bench.shared:run_shared"


@dataclass(frozen=True)
class Summary:
    """done, failed: runs of this call that ended well or not; skipped: had a record, or another process made it."""

    done: int
    skipped: int
    failed: int
    seconds: float


@dataclass(frozen=True)
class RunOptions:
    """How the runs of a suite are done; see `run_suite`. Nothing here is in a key."""

    root: str | Path | None = None
    jobs: int = 1
    redo: Redo = "never"
    device: str = "auto"
    dry_run: bool = False
    plugins: tuple[str | Path, ...] = ()
    progress: Progress | None = None
    run: str = "dalib.bench.run:run_one"
    fleet: FleetMode = "auto"
    executor: str = ""

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise DalibError(f"jobs = {self.jobs} is below 1; give a number of worker processes")
        if self.redo not in ("never", "failed", "all"):
            raise DalibError(f"redo = {self.redo!r} is not one of never, failed, all")
        if self.fleet not in ("auto", "on", "off"):
            raise DalibError(f"fleet = {self.fleet!r} is not one of auto, on, off")
        if self.executor and self.executor not in EXECUTORS:
            raise unknown("executor", self.executor, EXECUTORS.names(), "dalib list executors")

    def execute(self) -> Callable[..., Any]:
        """The executor: as named, else the one that suits the number of jobs."""
        return cast("Callable[..., Any]", EXECUTORS.get(self.executor or ("inline" if self.jobs == 1 else "processes")))


def run_suite(
    suite: Suite | str | Path,
    *,
    root: str | Path | None = None,
    store: str | Path = Path("results/runs"),
    jobs: int = 1,
    redo: Redo = "never",
    device: str = "auto",
    dry_run: bool = False,
    plugins: Sequence[str | Path] = (),
    progress: Progress | None = None,
    only: Sequence[str] = (),
    run: str = "dalib.bench.run:run_one",
    fleet: FleetMode = "auto",
    executor: str = "",
) -> Summary:
    """Run what a suite lacks.

    Args
        suite: a suite, its file, or the name of a known one
        root: folder of the data; wins over the suite's own
        store: folder of the records
        jobs: worker processes, >= 1; 1 runs in this process
        redo: `never` skips every existing record, `failed` runs failed ones again, `all` runs everything again
        dry_run: print what would run and run nothing
        only: labels of the rows to run; all when empty
        run: `module:function` that runs one spec
        fleet: train runs that differ in task, seed or learning rate as one model: `auto` on a GPU, `on`, `off`
        executor: how workers are made (`dalib list executors`); empty = `inline` for one job, `processes` for several
    Raises
        DalibError: a mistake in the suite, found before anything runs
        KeyboardInterrupt: after the workers have stopped; the same call goes on where it stopped
    """
    refuse_url(store, "store =")
    for plugin in plugins:
        load_plugin(plugin)
    how = RunOptions(root, jobs, redo, device, dry_run, tuple(plugins), progress, run, fleet, executor)
    loaded = suite if isinstance(suite, Suite) else load_suite(find_suite(str(suite)))
    labels = pick_labels(loaded, tuple(only))
    kept = Store(Path(store).resolve())
    total = Summary(0, 0, 0, 0.0)
    for number, planned in enumerate(rounds(loaded, root, kept)):
        done = _run_plan(replace(planned, remarks=planned.remarks if not number else ()), kept, labels, how)
        total = Summary(
            total.done + done.done, done.skipped - total.done, total.failed + done.failed, total.seconds + done.seconds
        )
    return total


def rounds(suite: Suite, root: str | Path | None, store: Store) -> Iterator[Plan]:
    """The suite's plan; with the sampler `tpe` one per draw, each with all draws so far, when those before have run."""
    search = suite.search
    if search.sampler == "random" or search.budget == 1:
        yield plan(suite, root)
        return
    draws: dict[str, list[Draw]] = {label: [Draw()] for label in suite.algorithms}
    for _ in range(search.budget):
        planned = plan(suite, root, draws)
        yield planned
        for label, given in draws.items():
            scores = [_score(planned, store, label, number, search.validator) for number in range(len(given))]
            proposal = propose(search, label, *searched(suite, label), list(zip(given, scores, strict=True)))
            given.extend([proposal] if proposal and len(given) < search.budget else [])


def _score(planned: Plan, store: Store, label: str, draw: int, validator: str) -> float:
    """Mean over tasks and seeds of the best score along a run; nan when a run failed or is missing."""
    keys = [r.key for r in planned.runs if r.label == label and r.draw == draw]
    records = [store.get(key) for key in keys if key in store]
    best = [max((c.scores.get(validator, math.nan) for c in r.candidates), default=math.nan) for r in records]
    return sum(best) / len(best) if len(best) == len(keys) else math.nan


def _run_plan(planned: Plan, kept: Store, labels: list[str], how: RunOptions) -> Summary:
    suite = planned.suite
    chosen = {r.key: r for r in planned.runs if r.label in labels}
    stamps = {key: kept.stamp(key) for key in chosen}  # before the look: what is written after it shows
    known = {key: summarise(kept.get(key)) for key in chosen if key in kept}
    skip = {"never": {"ok", "failed"}, "failed": {"ok"}, "all": set()}[how.redo]
    todo = [r for key, r in chosen.items() if key not in known or known[key].status not in skip]
    if how.dry_run:
        for remark in planned.remarks:
            say(f"note: {remark}")
        _print_plan(planned, labels, known, {r.key for r in todo})
        return Summary(0, len(chosen) - len(todo), 0, 0.0)
    judges = _judges(suite)
    kept.sweep()
    kept.write_manifest(planned.manifest())
    root = how.root or suite.root
    place = str(Path(root).resolve()) if root else None
    threads, loaded = max(1, count_cores() // how.jobs), tuple(str(Path(p).resolve()) for p in how.plugins)
    jobs = []
    todo = longest_first(todo, how.jobs)
    for r, on in zip(todo, assign_devices(how.device, len(todo)), strict=True):
        where = RunContext(place, on, threads, str(kept.checkpoint(r.key)), loaded, suite.keep_features, judges)
        where, run = _shared(suite.algorithms[r.label], where, how.run)
        jobs.append(Job(r.key, r.label, r.spec, where, kept.root, run, stamps[r.key]))
    accuracy: dict[str, list[float]] = {label: [] for label in labels}
    done_before = set(chosen) - {r.key for r in todo}
    for key in done_before:
        if (value := known[key].accuracy) is not None:
            accuracy[chosen[key].label].append(value)
    tally = Tally(len(chosen), len(done_before), labels, accuracy)
    summary = _run_all(pack(jobs, how.fleet, how.jobs), how, kept, tally, planned.remarks)
    kept.sweep()
    if gone := sum(not kept.stamp(key) for key in chosen):
        raise DalibError(
            f"{gone} of {len(chosen)} records are not in {kept.root}, which was deleted or moved meanwhile; run again"
        )
    return summary


def _shared(row: Row, where: RunContext, run: str) -> tuple[RunContext, str]:
    """Where a run of the row happens and what does it: several processes if the row asks for `devices`."""
    if row.devices == 1:
        return where, run
    return replace(where, processes=row.devices), RUN_SHARED if run == RUN_ONE else run


def _judges(suite: Suite) -> tuple[str, ...] | None:
    """Names of the validators that score; None = all. Raises DalibError for a name that is not registered."""
    if isinstance(suite.validators, str):
        return None
    for name in suite.validators:
        if name not in VALIDATORS.names():
            raise unknown("validator", name, VALIDATORS.names(), f"suite {suite.name}")
    return tuple(suite.validators)


def _run_all(items: list[Item], how: RunOptions, store: Store, tally: Tally, remarks: Sequence[str] = ()) -> Summary:
    progress, message = how.progress or choose_progress(), ""
    progress.start(tally)
    for remark in remarks:
        progress.say(f"note: {remark}")
    try:
        with _stopped_by_sigterm():
            for job, result in _results(items, how, store, progress.say):
                _count(tally, job, result)
                text = f"{job.label} {job.spec.task} seed {job.spec.seed}: "
                text += f"{result.accuracy:.1%}" if result.accuracy is not None else result.message or "no accuracy"
                progress.update(tally, " ".join(text.split()), failed=result.status == "failed")
        message = f"{tally.done} runs done, {tally.skipped + tally.elsewhere} had a record, {tally.failed} failed"
        again = "; --redo failed (redo='failed') tries these again" if tally.failed else ""
        message += f" ({clock(tally.elapsed)}){again}"
    except KeyboardInterrupt:
        left = tally.total - tally.finished
        message = (
            f"interrupted: {tally.finished} of {tally.total} runs have a record; the same command runs the {left} left"
        )
        raise
    finally:
        progress.stop(tally, message or "stopped")
    return Summary(tally.done, tally.skipped + tally.elsewhere, tally.failed, round(tally.elapsed, 3))


def _count(tally: Tally, job: Job, result: Result) -> None:
    if result.accuracy is not None:
        tally.accuracy[job.label].append(result.accuracy)
    tally.done += result.status == "ok"
    tally.failed += result.status == "failed"
    tally.elsewhere += result.status == "elsewhere"


def _results(
    items: list[Item], how: RunOptions, store: Store, say: Callable[[str], None]
) -> Iterator[tuple[Job, Result]]:
    """Results of all jobs; those that another process is at come last, when it has ended or died."""
    execute, told = how.execute(), set[str]()
    while items:
        again: list[Item] = []
        stream = execute(items, do_item, min(how.jobs, len(items)))
        try:
            for item, results in stream:
                if results is None and len(item) > 1:
                    again += [(job,) for job in item]
                    continue
                for job, result in zip(item, results or [record_death(item[0])], strict=True):
                    if result.status == "busy":
                        again.append((job,))
                    else:
                        yield job, result
        finally:
            stream.close()
        items = again
        while items and all(is_held(store.lock(item[0].key)) for item in items):
            told |= _tell_waiting(items, store, told, say)
            time.sleep(0.2)


def _tell_waiting(items: list[Item], store: Store, told: set[str], say: Callable[[str], None]) -> set[str]:
    """One line for every owner that is waited for and was not named yet."""
    owners = [owner for item in items if (owner := read_owner(store.lock(item[0].key)))]
    by_name: dict[str, list[float]] = {}
    for owner in owners:
        by_name.setdefault(f"process {owner.pid} on {owner.host}", []).append(owner.since)
    for name in by_name.keys() - told:
        since = time.strftime("%H:%M:%S", time.localtime(min(by_name[name])))
        say(f"waiting for {name}, which is at {len(by_name[name])} of the runs since {since}")
    return set(by_name)


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM (a batch system's, `kill`) stops as Ctrl-C does: locks and half-written files go, checkpoints stay."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield  # somebody else's handler stands
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _print_plan(planned: Plan, labels: list[str], known: dict[str, Result], todo: set[str]) -> None:
    suite, tasks = planned.suite, len({r.spec.task for r in planned.runs})
    say(f"{suite.name}: {tasks} tasks × {len(suite.seeds)} seeds × {len(labels)} rows, {len(todo)} to run")
    width = max(len("row"), *(len(label) for label in labels))
    say(f"{'row':{width}}  {'runs':>5}  {'ok':>5}  {'failed':>6}  {'missing':>7}  {'to run':>6}")
    for label in labels:
        runs: list[PlannedRun] = [r for r in planned.runs if r.label == label]
        status = Counter(known[r.key].status if r.key in known else "missing" for r in runs)
        again = sum(r.key in todo for r in runs)
        counts = f"{status['ok']:>5}  {status['failed']:>6}  {status['missing']:>7}  {again:>6}"
        say(f"{show_control(label):{width}}  {len(runs):>5}  {counts}")
