"""What a worker does with one run: lock it, run it, keep its record."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dalib.assemble import RunContext
from dalib.core.errors import DalibError
from dalib.core.objective import find_objective
from dalib.records.locks import TakenOver, acquire, owns, release
from dalib.records.record import Failure, Record
from dalib.records.spec import RunSpec
from dalib.records.store import Store


@dataclass(frozen=True)
class Job:
    """One run to do.

    run: `module:function` with the signature of `dalib.bench.run.run_one`
    stamp: of the record when the job was made; another stamp means that someone else has run it since
    """

    key: str
    label: str
    spec: RunSpec
    context: RunContext
    store: Path
    run: str
    stamp: int


@dataclass(frozen=True)
class Result:
    """status: `ok`, `failed`, `elsewhere` (another process has done it) or `busy` (another process is at it).

    seconds: of its phases, as the record has them
    """

    key: str
    status: Literal["ok", "failed", "elsewhere", "busy"]
    accuracy: float | None = None
    message: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


def do_job(job: Job) -> Result:
    """Run it and write its record, unless another process has it."""
    if (other := claim(job)) is not None:
        return other
    try:
        return keep(job, *load_function(job.run)(job.spec, job.context))
    finally:
        release(Store(job.store).lock(job.key))


def claim(job: Job) -> Result | None:
    """None when the run is this process's to do, its lock then held; else the result to report."""
    store = Store(job.store)
    lock = store.lock(job.key)
    if not acquire(lock):
        return Result(job.key, "busy")
    if store.stamp(job.key) != job.stamp and job.key in store:
        result = summarise(store.get(job.key), "elsewhere")
        release(lock)
        return result
    store.checkpoint(job.key).parent.mkdir(parents=True, exist_ok=True)
    return None


def keep(job: Job, record: Record, arrays: dict[str, Any]) -> Result:
    """Write a claimed run's record; its checkpoint has served.

    A process that was thought dead (its machine slept) and whose run another one has taken writes nothing.

    Raises
        DalibError: the store is gone
    """
    store = Store(job.store)
    if not store.root.is_dir() or (not store.path(job.key).is_file() and not store.lock(job.key).parent.is_dir()):
        raise DalibError(f"the store {store.root} was deleted while its runs were under way; run the suite again")
    if not owns(store.lock(job.key)):
        return summarise(store.get(job.key), "elsewhere") if job.key in store else Result(job.key, "busy")
    try:
        store.put(record, arrays, leased=True)
    except TakenOver:
        return summarise(store.get(job.key), "elsewhere") if job.key in store else Result(job.key, "busy")
    store.checkpoint(job.key).unlink(missing_ok=True)
    return summarise(record)


def record_death(job: Job) -> Result:
    """The record of a run that killed its worker twice, unless another process has the run by now."""
    if (other := claim(job)) is not None:
        return other
    message = "the worker was killed twice during this run (out of memory?); lower batch_size or --jobs (jobs=…)"
    record = Record(key=job.key, spec=job.spec, status="failed", error=Failure(type="WorkerDied", message=message))
    try:
        return keep(job, record, {})
    finally:
        release(Store(job.store).lock(job.key))


def summarise(record: Record, status: Literal["elsewhere"] | None = None) -> Result:
    """The result of a record: target accuracy in [0, 1] at the end, or the failure's message."""
    accuracy = record.candidates[-1].metrics.get("target_accuracy") if record.candidates else None
    message = f"{record.error.type}: {record.error.message}" if record.error else _first_metric(record)
    reached = accuracy if record.status == "ok" else None
    return Result(record.key, status or record.status, reached, message, dict(record.seconds))


def _first_metric(record: Record) -> str:
    """`target_mae 0.213`, for records of answers that are no classes: the metric that their tables show."""
    end = record.candidates[-1].metrics if record.candidates else {}
    name = f"target_{find_objective(record.objective).metrics[0]}"
    return f"{name} {end[name]:.4g}" if name in end else ""


def load_function(name: str) -> Callable[..., Any]:
    """The function `module:function`."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)
