"""Run a suite: what has a record is skipped, what is missing runs, and stopping at any moment loses nothing."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dalib.bench.execution import choose_executor
from dalib.bench.fleet import FleetMode, Item, do_item, pack
from dalib.bench.jobs import Redo, RunOptions, make_jobs, pick_judges
from dalib.bench.pace import Pace
from dalib.bench.plan import Plan, PlannedRun, plan, searched
from dalib.bench.progress import Progress, Tally, choose_progress, clock
from dalib.bench.schedule import expected_cost, longest_first
from dalib.bench.search import Draw, propose
from dalib.bench.suite import Suite, find_suite, load_suite, pick_labels
from dalib.bench.work import Job, Result, record_death, summarise
from dalib.core.errors import DalibError
from dalib.core.places import refuse_url
from dalib.core.registry import load_plugin
from dalib.core.text import say, show_control
from dalib.records.locks import is_held, read_owner
from dalib.records.shared import require_shared
from dalib.records.store import Store


@dataclass(frozen=True)
class Summary:
    """done, failed: runs of this call that ended well or not; skipped: had a record, or another process made it."""

    done: int
    skipped: int
    failed: int
    seconds: float


def run_suite(
    suite: Suite | str | Path,
    *,
    root: str | Path | None = None,
    store: str | Path = Path("results/runs"),
    jobs: int | None = None,
    redo: Redo = "never",
    device: str = "auto",
    dry_run: bool = False,
    plugins: Sequence[str | Path] = (),
    progress: Progress | None = None,
    only: Sequence[str] = (),
    run: str = "dalib.bench.run:run_one",
    fleet: FleetMode = "auto",
    executor: str | Mapping[str, Any] = "",
    detach: bool = False,
    track: Sequence[str] = (),
) -> Summary:
    """Run what a suite lacks.

    Args
        suite: a suite, its file, or the name of a known one
        root: folder of the data; wins over the suite's own
        store: folder of the records
        jobs: runs at a time, >= 1; None: the suite's, else one in this process, and elsewhere as many as there are
        redo: `never` skips every existing record, `failed` runs failed ones again, `all` runs everything again
        device: `auto`, `cpu`, `cuda`, `cuda:N`
        dry_run: print what would run and run nothing
        plugins: files of plug-ins that the runs need
        progress: what shows how far the suite is; None = live on a terminal, lines elsewhere
        only: labels of the rows to run; all when empty
        run: `module:function` that runs one spec
        fleet: train runs that differ in task, seed or learning rate as one model: `auto` on a GPU, `on`, `off`
        executor: where runs happen (`dalib list executors`), a name or `{"name": "slurm", "partition": "gpu"}`; empty =
            the suite's, else `inline` for one job and `processes` for several
        detach: hand the runs to the executor's engine and come back; the same call without it waits for them
        track: trackers that are told of every run: `tensorboard`, `wandb`, `mlflow`, or with a place `tensorboard=DIR`
    Raises
        DalibError: a mistake in the suite, found before anything runs
        KeyboardInterrupt: after the workers have stopped; the same call goes on where it stopped
    """
    refuse_url(store, "store =")
    for plugin in plugins:
        load_plugin(plugin)
    loaded = suite if isinstance(suite, Suite) else load_suite(find_suite(str(suite)))
    engine = choose_executor(loaded.executor, executor, jobs)
    how = RunOptions(root, redo, device, dry_run, tuple(plugins), progress, run, fleet, engine, detach, tuple(track))
    if detach and loaded.search.sampler == "tpe" and loaded.search.budget > 1:
        raise DalibError(f"suite {loaded.name}: tpe proposes by the runs before; leave out --detach (detach=True)")
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
            space, own = searched(suite, label, planned.objective)
            proposal = propose(search, label, space, own, list(zip(given, scores, strict=True)))
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
    known = {record.key: summarise(record) for record in kept.records(chosen)}
    skip = {"never": {"ok", "failed"}, "failed": {"ok"}, "all": set()}[how.redo]
    todo = [r for key, r in chosen.items() if key not in known or known[key].status not in skip]
    if how.dry_run:
        for remark in planned.remarks:
            say(f"note: {remark}")
        _print_plan(planned, labels, known, {r.key for r in todo})
        if script := how.executor.show_job(pack(make_jobs(todo, stamps, kept, how, None, suite), "off")):
            say(f"\n{script}")
        return Summary(0, len(chosen) - len(todo), 0, 0.0)
    judges = pick_judges(suite)
    kept.sweep()
    kept.write_manifest(planned.manifest())
    if how.executor.elsewhere:
        require_shared(kept.root / "locks")
    todo = longest_first(todo, how.jobs)
    jobs = make_jobs(todo, stamps, kept, how, judges, suite)
    accuracy: dict[str, list[float]] = {label: [] for label in labels}
    done_before = set(chosen) - {r.key for r in todo}
    for key in done_before:
        if (value := known[key].accuracy) is not None:
            accuracy[chosen[key].label].append(value)
    pace = Pace(how.jobs, {r.key: (r.label, expected_cost(r.spec)) for r in todo})
    for key, result in known.items():
        pace.learn(chosen[key].label, expected_cost(chosen[key].spec), result.seconds)
    tally = Tally(len(chosen), len(done_before), labels, accuracy, pace=pace)
    items = pack(jobs, how.fleet, how.jobs)
    if how.detach and items:
        say(
            f"{how.executor.submit(items, do_item)} of {len(chosen)} runs are with {how.executor.name}; "
            "the same command without --detach (detach=True) waits for them"
        )
        return Summary(0, len(done_before), 0, 0.0)
    summary = _run_all(items, how, kept, tally, planned.remarks)
    kept.sweep()
    if gone := sum(not kept.stamp(key) for key in chosen):
        raise DalibError(
            f"{gone} of {len(chosen)} records are not in {kept.root}, which was deleted or moved meanwhile; run again"
        )
    return summary


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
    tally.count(job.key, job.label, result.status, result.accuracy, result.seconds)


def _results(
    items: list[Item], how: RunOptions, store: Store, say: Callable[[str], None]
) -> Iterator[tuple[Job, Result]]:
    """Results of all jobs; those that another process is at come last, when it has ended or died."""
    told = set[str]()
    while items:
        again: list[Item] = []
        dead: list[Job] = []
        stream = how.executor.execute(items, do_item)
        try:
            for item, results in stream:
                if results is None and len(item) > 1:
                    again += [(job,) for job in item]
                    continue
                if results is None:
                    dead += item
                    continue
                for job, result in zip(item, results, strict=True):
                    if result.status == "busy":
                        again.append((job,))
                    else:
                        yield job, result
        finally:
            stream.close()  # type: ignore[attr-defined]
        for job in dead:
            while (result := record_death(job)).status == "busy":  # a dead owner elsewhere is silent at first
                time.sleep(0.2)
            yield job, result
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
